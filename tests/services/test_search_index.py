"""The index of chunks, in Milvus Lite as it is embedded and as a server: made, checked, flipped, searched."""

from __future__ import annotations

import subprocess
import sys
import time
import zlib
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from content_signals.catalog import catalog
from content_signals.errors import BrokenData, NotLanded, Temporary, UnknownName, UsageError
from content_signals.inspection.passages import told
from content_signals.lake.layout import Lake, start_run
from content_signals.lake.takedowns import Takedown, add_takedown
from content_signals.local.service import free_port
from content_signals.pipeline import search_index
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.search_index import (
    build_search_index,
    flip_index,
    purge_index,
    take_from_index,
    versions,
)
from content_signals.retrieval.documents import Documents
from content_signals.retrieval.fusion import Plan
from content_signals.retrieval.search import Searcher
from tests.lake import promoted
from tests.settings import settings_in

DAY, NEXT_DAY = date(2024, 3, 1), date(2024, 3, 2)
AT = datetime(2024, 3, 1, tzinfo=UTC)
MODEL = "toy:1"
TOPICS = ("goroutines", "channels", "compilers", "neural networks", "browsers", "databases")
# Episodes e0 to e5 are about a topic each, e6 about the first, and the signals know nothing of it.
EPISODES = {f"e{n}": TOPICS[n % 6] for n in range(7)}
CHUNKS_EACH = 40


def embed(texts):
    """A vector of its own for each topic, a little turned by the text: who is asked for a topic finds its chunks."""
    made = []
    for text in texts:
        topic = next((n for n, name in enumerate(TOPICS) if name in text), 6)
        noise = np.random.default_rng(zlib.crc32(text.encode())).normal(0, 0.01, 384)
        vector = np.eye(384)[topic] + noise
        made.append(vector / np.linalg.norm(vector))
    return np.array(made, np.float32)


def chunks_of(episodes, model=MODEL):
    rows = []
    for episode, topic in episodes.items():
        for n in range(CHUNKS_EACH):
            text = f"**Ann:** In part {n} of {episode} we say what {topic} are."
            rows.append((f"{episode}#{n:04d}", episode, n, 100 * n, 100 * n + len(text), text, model))
    columns = list(zip(*rows, strict=True))
    names = ("chunk_id", "episode_id", "chunk_index", "start_char", "end_char", "text", "model")
    kinds = (pa.string(), pa.string(), pa.int32(), pa.int32(), pa.int32(), pa.string(), pa.string())
    made = {n: pa.array(c, k) for n, c, k in zip(names, columns, kinds, strict=True)}
    made["embedding"] = pa.array(list(embed(columns[5])), pa.list_(pa.float32()))
    return with_times(pa.table(made))


def signals_of(values):
    """Rows of `episode_text_v1`: language and explicit_ratio of some episodes."""
    made = {
        "episode_id": pa.array(list(values)),
        "language": pa.array([language for language, _ in values.values()], pa.string()),
        "word_count": pa.array([100] * len(values), pa.int64()),
        "explicit_ratio": pa.array([ratio for _, ratio in values.values()], pa.float64()),
    }
    return with_times(pa.table(made))


def with_times(rows):
    at = pa.array([AT] * rows.num_rows, pa.timestamp("us", "UTC"))
    return rows.append_column("event_ts", at).append_column("computed_at", at)


TEXT = {
    "e0": ("en", 0.0),
    "e1": ("en", 0.02),
    "e2": ("de", 0.0),
    "e3": (None, None),
    "e4": ("en", 0.5),
    "e5": ("en", 0),
}


@pytest.fixture(params=["embedded", "server"], scope="module")
def milvus(request, tmp_path_factory):
    """Where the document store is."""
    folder = tmp_path_factory.mktemp("milvus")
    if request.param == "embedded":
        yield str(folder)
        return
    port = free_port()
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "milvus_lite.cmdline", "server", "--data-dir", str(folder / "data"),
             "--host", "127.0.0.1", "--port", str(port)], stdout=log, stderr=log,
        )  # fmt: skip
    try:
        wait_for(port, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def wait_for(port, server):
    import socket

    for _ in range(200):
        assert server.poll() is None, "the server has ended"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server does not listen")


@pytest.fixture(scope="module")
def context(milvus, tmp_path_factory):
    settings = settings_in(tmp_path_factory.mktemp("platform"), vectors=milvus)
    said = []
    made = Context(settings, Lake(settings.lake), catalog(), start_run(), said.append)
    known = made.catalog
    promoted(made.lake.of(known.table("episode_chunks_v1")), DAY, chunks_of(EPISODES))
    promoted(made.lake.of(known.table("episode_text_v1")), DAY, signals_of(TEXT))
    outcome = build_search_index(made, [DAY])
    assert outcome.details["recall"] >= 0.98
    assert outcome.rows_out == 7 * CHUNKS_EACH
    return made


@pytest.fixture
def search(context):
    documents = Documents(context.settings)
    with closing(documents), Searcher(documents, context.lake, embed, MODEL) as found:
        yield found


def episodes_of(answer):
    return {hit.episode_id for hit in answer.hits}


def test_what_is_asked_for_is_found_by_words_and_by_meaning(search):
    answer = search.search("what are browsers", k=10)
    assert len(answer.hits) == 10
    assert episodes_of(answer) == {"e4"}
    first = answer.hits[0]
    assert first.text.startswith("**Ann:** In part ")
    assert (first.start_char, first.end_char) == (100 * int(first.chunk_id[-4:]), first.start_char + len(first.text))
    vector = embed(["what are browsers"])[0]
    expected = [float(embed([hit.text])[0] @ vector) for hit in answer.hits]
    assert [hit.meaning_score for hit in answer.hits] == pytest.approx(expected, abs=1e-4)
    assert all(hit.words_score > 0 for hit in answer.hits)
    assert answer.missing == ()


def test_scores_are_the_sum_of_reciprocal_ranks(search):
    answer = search.search("what are browsers", k=40)
    by_meaning = sorted(answer.hits, key=lambda hit: -hit.meaning_score)
    by_words = sorted(answer.hits, key=lambda hit: (-hit.words_score, hit.chunk_id))
    expected = {hit.chunk_id: 1 / (61 + by_meaning.index(hit)) + 1 / (61 + by_words.index(hit)) for hit in answer.hits}
    assert {hit.chunk_id: hit.score for hit in answer.hits} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("where", "episodes"),
    [
        (["language=de"], {"e2"}),
        (["language!=en"], {"e2"}),  # of e3 nothing is known
        (["language=en", "explicit_ratio<0.01"], {"e0", "e5"}),
        (["explicit_ratio<0.01"], {"e0", "e2", "e5"}),  # a null is no zero
        (["explicit_ratio>=0.02", "explicit_ratio<=0.5"], {"e1", "e4"}),
        (["language=de,fr"], {"e2"}),
        (["language=xx"], set()),
        (["word_count=100"], {"e0", "e1", "e2", "e3", "e4", "e5"}),
    ],
)
def test_conditions_on_signals_narrow_both_rankings(search, where, episodes):
    # All chunks that are allowed, by meaning alone: what the store narrows is no more and no less.
    search._plan = Plan(words=0)
    assert episodes_of(search.search("what are browsers", k=1_000, where=where)) == episodes
    search._plan = Plan()
    assert episodes_of(search.search("part", k=1_000, where=where)) == episodes
    for episode in episodes:  # what each is about is found among what is allowed
        answer = search.search(f"what are {EPISODES[episode]}", k=5, where=where)
        assert EPISODES[episode] in answer.hits[0].text


def test_as_many_as_asked_for_are_found(search):
    assert len(search.search("part", k=7 * CHUNKS_EACH).hits) == 7 * CHUNKS_EACH


def test_wrong_conditions_are_refused_with_what_there_is(search):
    with pytest.raises(UnknownName, match="languge") as error:
        search.search("x", where=["languge=en"])
    assert "language" in error.value.next_step
    for wrong in ("language", "explicit_ratio<many", "explicit_ratio<nan", f"word_count={2**70}", "language<en", "=en"):
        with pytest.raises(UsageError):
            search.search("x", where=[wrong])


@pytest.mark.parametrize(("query", "more"), [("  ", {}), ("x" * 10_001, {}), ("x", {"k": 0}), ("x", {"deadline": 0})])
def test_wrong_questions_are_refused(search, query, more):
    with pytest.raises(UsageError):
        search.search(query, **more)


def test_what_is_late_is_named_and_the_other_answers(context):
    def slow(texts):
        time.sleep(1.5)
        return embed(texts)

    documents = Documents(context.settings)
    with closing(documents), Searcher(documents, context.lake, slow, MODEL) as found:
        answer = found.search("browsers", k=3, deadline=0.7)
        assert answer.missing == ("meaning",)
        assert episodes_of(answer) == {"e4"}
        assert [hit.meaning_score for hit in answer.hits] == [None] * 3
        assert "not answered in time: meaning" in "\n".join(told(answer, "browsers"))
        time.sleep(1.5)


def test_a_query_of_another_model_is_refused(context):
    documents = Documents(context.settings)
    with closing(documents), Searcher(documents, context.lake, embed, "toy:2") as found:  # noqa: SIM117
        with pytest.raises(UsageError, match="cannot be compared"):
            found.search("browsers")


def test_plain_feast_reads_the_index(context):
    with closing(Documents(context.settings)) as documents:
        live, _ = documents.live()
        answer = documents.store.retrieve_online_documents_v2(
            features=[f"{live}:embedding", f"{live}:text", f"{live}:episode_id"],
            query=embed(["what are databases"])[0].tolist(),
            top_k=5,
        ).to_dict()
    assert set(answer["episode_id"]) == {"e5"}
    assert all("databases" in text for text in answer["text"])


def test_what_was_taken_down_is_not_found_any_more(context, search):
    search._gone_at = -1e9
    add_takedown(context.lake, "episode", Takedown("e2", "taken down", "asked to", "test", AT))
    try:
        assert "e2" not in episodes_of(search.search("what are compilers", k=50))
    finally:
        add_takedown(context.lake, "episode", Takedown("e2", "given back", "asked to", "test", AT + timedelta(1)))
        search._gone_at = -1e9
    assert "e2" in episodes_of(search.search("what are compilers", k=50))


def test_a_takedown_takes_from_every_version_and_a_purge_leaves_none_that_holds_it(context, milvus):
    """Plain Feast, too, reads nothing of it."""
    live = next(row.version for row in versions(context) if row.state == "live")
    later = replace(context, run=replace(context.run, now=context.run.now + timedelta(days=8)))
    add_takedown(context.lake, "episode", Takedown("e5", "taken down", "asked to", "test", context.run.now))
    take_from_index(context, "episode", ["e5"])
    with closing(Documents(context.settings)) as documents:
        assert documents.count(live) == 6 * CHUNKS_EACH
        found = documents.store.retrieve_online_documents_v2(
            features=[f"{live}:embedding", f"{live}:episode_id"], query=embed(["databases"])[0].tolist(), top_k=20
        ).to_dict()
        assert "e5" not in found["episode_id"]
    purge_index(context, context.run.now - timedelta(days=7), Outcome())  # not long enough ago
    assert live in [row.version for row in versions(context)]
    purge_index(later, context.run.now, Outcome())
    (after,) = versions(context)
    assert (after.state, after.episodes, after.version != live) == ("live", 6, True)
    folder = Path(context.lake.root, "search")
    assert [path.name for path in folder.iterdir()] == [after.version]
    assert not [path for path in folder.rglob("*") if path.is_file() and b"databases" in path.read_bytes()]
    add_takedown(context.lake, "episode", Takedown("e5", "given back", "asked to", "test", later.run.now))
    build_search_index(context, [DAY])
    assert next(row for row in versions(context) if row.state == "live").episodes == 7


def test_an_index_whose_store_was_emptied_says_so_and_is_made_anew(context):
    live = next(row.version for row in versions(context) if row.state == "live")
    with closing(Documents(context.settings)) as documents:
        documents.remove(live, "episode_id", list(EPISODES))
    with pytest.raises(NotLanded, match="has no chunk of"), search_index.searcher(context):
        pass
    build_search_index(context, [DAY])
    with closing(Documents(context.settings)) as documents:
        assert documents.count(live) == 7 * CHUNKS_EACH


def test_milvus_lite_is_open_in_one_process_and_let_go(context, milvus):
    if "://" in milvus:
        pytest.skip("a server is open to all")
    script = (
        "import sys; from content_signals.retrieval.documents import Documents; from pathlib import Path;"
        "from tests.settings import settings_in;"
        "documents = Documents(settings_in(Path(sys.argv[1]), vectors=sys.argv[2], registry=sys.argv[3]));"
        "print(documents.count(documents.live()[0]))"
    )
    registry = context.settings.registry.get_secret_value()
    command = [sys.executable, "-c", script, str(Path(context.settings.lake).parent), milvus, registry]
    with closing(Documents(context.settings)) as documents:
        documents.count(documents.live()[0])
        beside = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert "is open in another process" in beside.stderr
    after = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert after.stdout.split() == [str(7 * CHUNKS_EACH)]


def test_the_same_day_again_makes_nothing(context):
    before = [row.version for row in versions(context)]
    context.say.__self__.clear()
    build_search_index(context, [DAY])
    assert [row.version for row in versions(context)] == before
    assert "made already" in "\n".join(context.say.__self__)


def test_two_models_in_one_index_are_refused_and_the_live_one_stays(context):
    table = context.lake.of(context.catalog.table("episode_chunks_v1"))
    mixed = pa.concat_tables([chunks_of({"e0": "channels"}), chunks_of({"e1": "channels"}, "toy:2")])
    promoted(table, NEXT_DAY, mixed)
    before = versions(context)
    with pytest.raises(BrokenData, match="of one model, not of 'toy:1', 'toy:2'"):
        build_search_index(context, [NEXT_DAY])
    assert [(row.version, row.state) for row in versions(context)] == [(row.version, row.state) for row in before]


def test_a_day_that_is_not_there_is_refused(context):
    with pytest.raises(NotLanded, match="2024-05-01 is not promoted"):
        build_search_index(context, [date(2024, 5, 1)])
    outcome = build_search_index(context, [date(2024, 5, 1)], skip_missing=True)
    assert outcome.skipped == {date(2024, 5, 1): "episode_chunks_v1 is not promoted yet"}


def test_a_newer_day_is_flipped_to_followed_and_rolled_back(context, search, monkeypatch):
    assert "e4" in episodes_of(search.search("browsers"))
    first = search.search("browsers").version
    search._documents.close()  # Milvus Lite is open in one process, here by one client, at a time
    table = context.lake.of(context.catalog.table("episode_chunks_v1"))
    promoted(table, NEXT_DAY, chunks_of({"f0": "browsers", "f1": "channels"}))
    # Killed on the way: nothing is live that is not whole.
    with monkeypatch.context() as patch:
        patch.setattr("content_signals.retrieval.build._Making._checked", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            build_search_index(context, [NEXT_DAY])
    time.sleep(1.1)
    assert "not complete" in {row.state for row in versions(context)}
    build_search_index(context, [NEXT_DAY])
    time.sleep(1.1)
    assert {row.state for row in versions(context)} == {"live", "live before"}
    answer = search.search("browsers")
    assert (episodes_of(answer), answer.version != first) == ({"f0"}, True)
    search._documents.close()
    # An older day that is asked for later is left out.
    assert "is live and newer" in build_search_index(context, [DAY]).skipped[DAY]
    assert search.search("browsers").version == answer.version
    search._documents.close()
    with pytest.raises(UsageError, match="reason"):
        flip_index(context, None, "", "test")
    assert flip_index(context, None, "the newer day misses episodes", "test") == first
    time.sleep(1.1)  # what a registry says may be a second old
    assert search.search("browsers").version == first
    # What somebody has taken back is not made live by the next run of its day.
    search._documents.close()
    build_search_index(context, [NEXT_DAY])
    assert {row.version: row.state for row in versions(context)}[first] == "live"
    with pytest.raises(UnknownName):
        flip_index(context, "episode_chunks_v1_19990101_00000000", "a reason that is long enough", "test")


def test_an_index_that_misses_too_much_is_never_live(context, monkeypatch):
    table = context.lake.of(context.catalog.table("episode_chunks_v1"))
    day = NEXT_DAY + timedelta(1)
    promoted(table, day, chunks_of({"g0": "browsers"}))
    live = next(row.version for row in versions(context) if row.state == "live")
    nearest = Documents.nearest
    with monkeypatch.context() as patch:
        patch.setattr(Documents, "nearest", lambda self, *given, **more: (nearest(self, *given, **more)[0][:5], None))
        with pytest.raises(BrokenData, match=r"finds 0\.500, wanted 0\.98"):
            build_search_index(context, [day])
    assert next(row.version for row in versions(context) if row.state == "live") == live


def test_a_store_that_is_away_is_a_temporary_failure(context, tmp_path):
    settings = settings_in(tmp_path, vectors=f"http://127.0.0.1:{free_port()}")
    away = Context(settings, context.lake, context.catalog, start_run(), lambda _: None)
    with pytest.raises(Temporary, match="does not answer"):
        build_search_index(away, [DAY])


def test_no_index_at_all_says_what_to_run(context, tmp_path):
    settings = settings_in(tmp_path)
    new = Context(settings, context.lake, context.catalog, start_run(), lambda _: None)
    with pytest.raises(NotLanded, match="no index of chunks yet"), search_index.searcher(new):
        pass


def test_a_plan_without_words_ranks_by_meaning_alone(context):
    documents = Documents(context.settings)
    with closing(documents), Searcher(documents, context.lake, embed, MODEL, Plan(words=0)) as found:
        hits = found.search("browsers", k=20).hits
    assert [hit.meaning_score for hit in hits] == sorted((hit.meaning_score for hit in hits), reverse=True)

"""Versions of the index of chunks: made, checked, flipped, and rid of what is taken down."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from content_signals.errors import BrokenData, NotLanded, Temporary, UnknownName, UsageError
from content_signals.features.lease import Lease
from content_signals.features.store import PROJECT_NAME, online_client
from content_signals.lake.purge import purge, values_of
from content_signals.lake.takedowns import Takedown, add_takedown
from content_signals.local.service import free_port
from content_signals.pipeline import search_index
from content_signals.pipeline.context import Outcome
from content_signals.pipeline.search_index import (
    build_search_index,
    flip_index,
    purge_index,
    take_from_index,
    versions,
)
from content_signals.retrieval.build import Maker
from content_signals.retrieval.documents import Documents
from content_signals.retrieval.gone import gone_from, gone_of
from content_signals.retrieval.version import read_version
from tests.services.search_index.topic_chunks import (
    CHUNKS_EACH,
    DAY,
    EPISODES,
    NEXT_DAY,
    TEXT,
    chunks_of,
    embed,
    episodes_of,
    put,
    signals_of,
)


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


def test_an_index_whose_store_was_emptied_says_so_and_is_made_anew_beside_it(context):
    """Never in place: searches read the live one until the other is whole."""
    live = next(row.version for row in versions(context) if row.state == "live")
    with closing(Documents(context.settings)) as documents:
        documents.remove(live, "episode_id", list(EPISODES))
    with pytest.raises(NotLanded, match="has no chunk of"), search_index.searcher(context):
        pass
    build_search_index(context, [DAY])
    after = next(row.version for row in versions(context) if row.state == "live")
    assert after != live
    with closing(Documents(context.settings)) as documents:
        assert documents.count(after) == 7 * CHUNKS_EACH


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
    mixed = pa.concat_tables([chunks_of({"e0": "channels"}), chunks_of({"e1": "channels"}, "toy:2")])
    put(context, "episode_chunks_v1", NEXT_DAY, mixed)
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
    put(context, "episode_chunks_v1", NEXT_DAY, chunks_of({"f0": "browsers", "f1": "channels"}))
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
    day = NEXT_DAY + timedelta(1)
    put(context, "episode_chunks_v1", day, chunks_of({"g0": "browsers"}))
    live = next(row.version for row in versions(context) if row.state == "live")
    nearest = Documents.nearest
    with monkeypatch.context() as patch:
        patch.setattr(Documents, "nearest", lambda self, *given, **more: (nearest(self, *given, **more)[0][:5], None))
        with pytest.raises(BrokenData, match=r"finds 0\.500, wanted 0\.98"):
            build_search_index(context, [day])
    assert next(row.version for row in versions(context) if row.state == "live") == live


def test_two_builds_of_a_version_do_not_meet(context):
    """Each would drop what the other has begun to write."""
    said: list[str] = []
    with (
        online_client(context.settings) as client,
        ThreadPoolExecutor(1) as pool,
        Lease(client, PROJECT_NAME, "search_index").held(said.append),  # as another build has it
    ):
        second = pool.submit(build_search_index, replace(context, say=said.append), [DAY])
        deadline = time.monotonic() + 30
        while not said and time.monotonic() < deadline:
            time.sleep(0.05)
        assert said == ["search_index: waiting for another run to end, or its lease to run out"]
        assert not second.done()
    assert second.result(60).details["version"] in [row.version for row in versions(context)]


def test_a_build_that_has_lost_its_lease_flips_to_nothing_and_removes_nothing(context, monkeypatch):
    before, make, dropped = versions(context), Maker.build, []

    def made(self, *given):
        found = make(self, *given)
        with online_client(context.settings) as client:  # this one stood still, and another run has taken over
            client.hset(f"content_signals:writing:{PROJECT_NAME}:search_index", "holder", "another")
        return found

    monkeypatch.setattr(Maker, "build", made)
    monkeypatch.setattr(Documents, "flip", lambda *_, **__: dropped.append("flipped"))
    monkeypatch.setattr(Documents, "drop", lambda *_: dropped.append("dropped"))
    try:
        with pytest.raises(Temporary, match="another run has taken over"):
            build_search_index(context, [NEXT_DAY if before[0].day == str(DAY) else DAY])
    finally:
        with online_client(context.settings) as client:
            client.delete(f"content_signals:writing:{PROJECT_NAME}:search_index")
    assert not dropped


def test_a_store_that_is_away_is_a_temporary_failure(context):
    vectors = SecretStr(f"http://127.0.0.1:{free_port()}")
    away = replace(context, settings=context.settings.model_copy(update={"vectors": vectors}))
    with pytest.raises(Temporary, match=r"index of chunks at 127\.0\.0\.1 does not answer"):
        build_search_index(away, [DAY])


def test_a_later_day_of_the_same_contents_makes_nothing_and_an_earlier_one_stays_left_out(context):
    """Even where somebody else was taken down meanwhile; then the version holds none of theirs either."""
    before = versions(context)
    live = next(row for row in before if row.state == "live")
    later = NEXT_DAY + timedelta(7)
    put(context, "episode_chunks_v1", later, chunks_of(EPISODES))
    put(context, "episode_text_v1", later, signals_of(TEXT))
    add_takedown(context.lake, "episode", Takedown("e99", "taken down", "asked to", "test", context.run.now))
    context.say.__self__.clear()
    build_search_index(context, [later])
    told = "\n".join(context.say.__self__)
    assert "made already" in told
    assert "chunks written" not in told
    assert versions(context) == [replace(row, day=str(later)) if row == live else row for row in before]
    assert "is live and newer" in build_search_index(context, [DAY]).skipped[DAY]
    down = gone_of(context.lake)
    assert not down.less(gone_from(read_version(context.lake, live.version)))


@pytest.mark.parametrize("reached", [True, False], ids=["store reached", "store away"])
def test_a_purge_whose_rows_are_erased_already_leaves_no_version_with_them(context, reached):
    """As purge_removed does it; the takedown may not have reached the document store, and nothing was built since."""
    day, gone = NEXT_DAY + timedelta(30 if reached else 31), "e3" if reached else "e2"
    put(context, "episode_chunks_v1", day, chunks_of(EPISODES))
    build_search_index(context, [day])
    live = next(row.version for row in versions(context) if row.state == "live")
    add_takedown(context.lake, "episode", Takedown(gone, "taken down", "asked to", "test", context.run.now))
    if reached:
        take_from_index(context, "episode", [gone])
    chunks = context.lake.of(context.catalog.table("episode_chunks_v1"))
    assert purge(chunks, "episode_id", [gone]) >= CHUNKS_EACH
    assert values_of(chunks, "chunk_id", "episode_id", [gone]) == []
    assert len(values_of(chunks, "chunk_id", "episode_id", ["e4"])) == CHUNKS_EACH
    later = replace(context, run=replace(context.run, now=context.run.now + timedelta(days=8)))
    purge_index(later, context.run.now, Outcome())
    found = {row.state: row for row in versions(context)}
    assert (found["live"].episodes, found["live"].version == live) == (6, False)
    folder = Path(context.lake.root, "search")
    chunks_files = [pq.read_table(file) for file in folder.rglob("chunks.parquet")]
    assert not any(gone in table.column("episode_id").to_pylist() for table in chunks_files)
    with closing(Documents(context.settings)) as documents:
        assert {documents.count(name) for name in documents.views()} == {6 * CHUNKS_EACH}
    add_takedown(context.lake, "episode", Takedown(gone, "given back", "asked to", "test", later.run.now))

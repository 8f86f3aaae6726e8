"""Searches in the index of chunks: what is found, what conditions leave out, and what is refused."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

import pytest

from content_signals.errors import NotLanded, Temporary, UnknownName, UsageError
from content_signals.inspection.passages import told
from content_signals.lake.layout import start_run
from content_signals.lake.takedowns import Takedown, add_takedown
from content_signals.pipeline import search_index
from content_signals.pipeline.context import Context
from content_signals.retrieval import search as search_module
from content_signals.retrieval.documents import Documents
from content_signals.retrieval.fusion import Plan
from content_signals.retrieval.gone import Gone
from content_signals.retrieval.search import Searcher
from tests.services.search_index.topic_chunks import AT, CHUNKS_EACH, EPISODES, MODEL, embed, episodes_of
from tests.settings import settings_in


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
        (["language == \"de\" , 'fr'"], {"e2"}),
        (["language=xx"], set()),
        (["word_count=100"], {"e0", "e1", "e2", "e3", "e4", "e5"}),
        (["topics=jsparty"], {"e0", "e4"}),
        (["topics=jsparty,practicalai", "brand_safety_flags=profanity"], {"e1", "e4"}),
        (["topics!=jsparty,gotime"], {"e1", "e2"}),  # e2 has none at all, which is known
        (["brand_safety_flags!=violence"], {"e0", "e1"}),  # of e2 nothing is known
        (["topics=jsparty", "explicit_ratio<0.01"], {"e0"}),
    ],
)
@pytest.mark.parametrize("few", [500, 0], ids=["named", "by signals"])
def test_conditions_on_signals_narrow_both_rankings(search, where, episodes, few, monkeypatch):
    monkeypatch.setattr(search_module, "FEW_EPISODES", few)
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
    for wrong in (
        "topics<jsparty",
        "language",
        "explicit_ratio<many",
        "explicit_ratio<nan",
        f"word_count={2**70}",
        "language<en",
        "=en",
    ):
        with pytest.raises(UsageError):
            search.search("x", where=[wrong])


@pytest.mark.parametrize(
    ("query", "more"),
    [("  ", {}), ("x" * 10_001, {}), ("half \udce9", {}), ("x", {"k": 0})]
    + [("x", {"deadline": seconds}) for seconds in (0, float("nan"), float("inf"), 1e10)],
)
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


@pytest.mark.parametrize("hanging", ["live", "taken down"])
def test_a_registry_or_a_lake_that_hangs_ends_a_search_at_its_deadline(context, search, monkeypatch, hanging):
    name = {"live": "_live", "taken down": "_taken_down"}[hanging]
    monkeypatch.setattr(search, name, lambda *_: time.sleep(1.5))
    started = time.monotonic()
    with pytest.raises(Temporary, match="the registry or the lake does not say"):
        search.search("browsers", deadline=0.5)
    assert time.monotonic() - started < 1.2
    time.sleep(1.2)


def test_searches_of_one_moment_share_a_look_at_what_is_live(context, search, monkeypatch):
    looked, look = [], search._live
    monkeypatch.setattr(search, "_live", lambda loaded: looked.append(1) or time.sleep(0.5) or look(loaded))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: search.search("browsers", k=3), range(8)))
    assert all(answer.hits for answer in answers)
    assert len(looked) < 4


def test_a_slow_look_at_what_is_taken_down_hides_no_later_one(context, search, monkeypatch):
    told = iter([0.6, 0.0])
    lists = {0.6: Gone(), 0.0: Gone(frozenset({"e4"}))}

    def looked(_):
        wait = next(told)
        time.sleep(wait)
        return lists[wait]

    monkeypatch.setattr(search_module, "gone_of", looked)
    search._gone_at = -1e9
    slow = threading.Thread(target=search._taken_down)
    slow.start()
    time.sleep(0.1)
    assert search._taken_down().episodes == {"e4"}
    slow.join()
    assert search._taken_down().episodes == {"e4"}


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


def test_no_index_at_all_says_what_to_run(context, tmp_path):
    settings = settings_in(tmp_path)
    new = Context(settings, context.lake, context.catalog, start_run(), lambda _: None)
    with pytest.raises(NotLanded, match="no index of chunks yet"), search_index.searcher(new):
        pass


def test_which_version_is_live_is_not_taken_from_another_registry(context, tmp_path):
    # Feast keeps what it has listed by the address of a registry's copy; freed ones are given out again.
    live = set()
    for _ in range(20):
        with closing(Documents(settings_in(tmp_path))) as empty:
            assert empty.live()[0] is None
        del empty
        with closing(Documents(context.settings)) as documents:
            live.add(documents.live()[0])
        del documents
    assert len(live) == 1
    assert None not in live


def test_a_plan_without_words_ranks_by_meaning_alone(context):
    documents = Documents(context.settings)
    with closing(documents), Searcher(documents, context.lake, embed, MODEL, Plan(words=0)) as found:
        hits = found.search("browsers", k=20).hits
    assert [hit.meaning_score for hit in hits] == sorted((hit.meaning_score for hit in hits), reverse=True)

"""What is erased of contents whose owner is taken down, and what is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from content_signals.inspection.quarantine import quarantined
from content_signals.lake.layout import LakeTable
from content_signals.lake.maintain import maintain_entries
from content_signals.lake.takedowns import GIVEN_BACK, TAKEN_DOWN, Action, Takedown, add_takedown
from content_signals.pipeline import purge as purge_module
from content_signals.pipeline.ingest import ingest
from content_signals.pipeline.purge import purge_removed
from tests.spark.contents.lengths import DAY, LENGTHS, NEXT, built, computed, ingested

ALONE, SHARED, OTHER = "only one says this", "two say this", "another says this"


def take(context, episode: str, days_ago: int, action: Action = TAKEN_DOWN) -> None:
    at = datetime.now(UTC) - timedelta(days=days_ago)
    add_takedown(context.lake, "episode", Takedown(episode, action, "the author asked", "legal", at))


def kept_in(table: LakeTable) -> list[dict]:
    return DeltaTable(table.path).to_pyarrow_table().to_pylist()


def texts_kept(context) -> set[str]:
    return {row["transcript"] for row in kept_in(context.lake.contents(context.catalog.source("episode_transcripts")))}


def firsts_kept(context) -> set[tuple[int, str]]:
    return {(row["letters"], row["first"]) for row in kept_in(context.lake.contents(LENGTHS))}


def of(*texts: str) -> set[tuple[int, str]]:
    return {(len(text), text.split()[0]) for text in texts}


@pytest.fixture
def purged(given, spark):
    """Three episodes of which `one` and one of the two that share a text were taken down a week ago, and purged."""
    ingested(given.context, spark, {"one": ALONE, "two": SHARED, "three": SHARED, "four": OTHER})
    built(given.context, spark)
    assert texts_kept(given.context) == {ALONE, SHARED, OTHER}
    assert firsts_kept(given.context) == of(ALONE, SHARED, OTHER)
    take(given.context, "one", 8)
    take(given.context, "two", 8)
    take(given.context, "four", 6)
    purge_removed(given.context, 7)
    return given


def test_a_content_that_nobody_else_has_is_erased_with_its_owner(purged):
    context = purged.context
    assert texts_kept(context) == {SHARED, OTHER}
    assert firsts_kept(context) == of(SHARED, OTHER)
    take(context, "three", 6)  # taken down too, and not long enough ago
    assert purge_removed(context, 7).rows_out == 0
    assert purge_removed(context, 5).rows_out == 4  # two texts, and what was computed of them
    assert (texts_kept(context), firsts_kept(context)) == (set(), set())


def test_upkeep_removes_the_files_it_lay_in(purged):
    source = purged.context.catalog.source("episode_transcripts")
    for table, said in (
        (purged.context.lake.contents(source), "transcript"),
        (purged.context.lake.contents(LENGTHS), "letters"),
    ):
        assert maintain_entries(table, 0)
        found = [row[said] for path in Path(table.path).rglob("*.parquet") for row in pq.read_table(path).to_pylist()]
        assert len(found) == 2
        assert not {ALONE, len(ALONE)} & set(found)


def test_a_purge_that_was_killed_is_taken_up_again(given, spark, monkeypatch):
    ingested(given.context, spark, {"one": ALONE, "four": OTHER})
    built(given.context, spark)
    take(given.context, "one", 8)
    erase, done = purge_module.purge, []

    def dies(table, *more):
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(table.name)
        return erase(table, *more)

    monkeypatch.setattr(purge_module, "purge", dies)
    with pytest.raises(KeyboardInterrupt):
        purge_removed(given.context, 7)
    assert (texts_kept(given.context), firsts_kept(given.context)) == ({OTHER}, of(ALONE, OTHER))
    monkeypatch.setattr(purge_module, "purge", erase)
    purge_removed(given.context, 7)
    assert (texts_kept(given.context), firsts_kept(given.context)) == ({OTHER}, of(OTHER))


def test_what_was_erased_does_not_come_back_and_stops_no_day(purged, spark, new_run):
    """The file that landed still says it: neither the next day nor a day that is built again keeps or computes it."""
    before = len(computed(purged.log))
    later = new_run(purged.context)
    ingested(later, spark, {"one": ALONE, "two": SHARED, "three": SHARED, "four": OTHER}, NEXT)
    assert texts_kept(later) == {SHARED, OTHER}
    rows = {"two": (len(SHARED), "two"), "three": (len(SHARED), "two"), "four": (len(OTHER), "another")}
    assert built(later, spark, NEXT) == rows
    assert built(new_run(purged.context), spark, DAY) == rows
    assert quarantined(purged.context, "test_lengths_v1", str(NEXT)) == []
    assert len(computed(purged.log)) == before
    take(purged.context, "one", 0, GIVEN_BACK)
    again = new_run(purged.context)
    ingested(again, spark, {"one": ALONE, "four": OTHER}, NEXT)
    assert built(again, spark, NEXT)["one"] == (len(ALONE), "only")


def test_what_was_set_aside_of_it_is_erased_too(given, spark):
    path = Path(given.context.settings.landing) / "podcasts/transcripts.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        ("one", "bad text"),
        ('o"ne', "good"),
        ('o"ne', "as good"),
        ("four", "first"),
        ("four", 'an "episode_id":"o"ne"'),
    ]
    ids, texts = (list(column) for column in zip(*rows, strict=True))
    pq.write_table(pa.table({"episode_id": ids, "show": ["s"] * len(ids), "transcript": texts}), path)
    ingest(given.context, spark, given.context.catalog.source("episode_transcripts"), [DAY])
    built(given.context, spark)
    source = given.context.catalog.source("episode_transcripts")
    assert len(kept_in(given.context.lake.malformed(source))) == 2
    assert [row["episode_id"] for row in kept_in(given.context.lake.unusable(LENGTHS))] == ["one"]
    take(given.context, "one", 8)
    take(given.context, 'o"ne', 8)
    purge_removed(given.context, 7)
    (left,) = kept_in(given.context.lake.malformed(source))
    assert '"episode_id":"four"' in left["raw"]
    assert kept_in(given.context.lake.unusable(LENGTHS)) == []

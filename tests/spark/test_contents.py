"""Signals by content: each is computed once, whatever its day; what is of no use is set aside; nothing is lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from pyspark.sql import functions as F

from content_signals.catalog import Catalog
from content_signals.content import Content
from content_signals.contract import Computed, Input, Table
from content_signals.errors import ContractError, Temporary
from content_signals.inspection.quarantine import quarantined
from content_signals.lake.contents import Contents
from content_signals.lake.layout import Lake, LakeTable
from content_signals.lake.maintain import maintain_entries
from content_signals.lake.promote import promote
from content_signals.lake.stage import read_stage
from content_signals.lake.takedowns import GIVEN_BACK, TAKEN_DOWN, Action, Takedown, add_takedown
from content_signals.pipeline import contents as contents_module
from content_signals.pipeline import extract as extract_module
from content_signals.pipeline import purge as purge_module
from content_signals.pipeline.contents import ENDS_ITS_READER, NOT_READ, Progress
from content_signals.pipeline.extract import extract, signals_of
from content_signals.pipeline.ingest import ingest
from content_signals.pipeline.inputs import revision_of
from content_signals.pipeline.purge import purge_removed
from content_signals.pipeline.stale import stale_days
from content_signals.signals.entities import EPISODE

DAY = date(2020, 3, 1)
NEXT = DAY + timedelta(days=1)
LENGTHS = Table(
    name="test_lengths",
    version=1,
    entity=EPISODE,
    driver=Input("episode_transcripts_v1"),
    content=Content(id="sha256", reads=("transcript",), revision="1", batch=3),
    columns=(Computed("letters", "int", about="Letters"), Computed("first", "string", about="The first word")),
    owner="tests",
    about="Lengths.",
)


def family(log: Path, *, fatal: str = "") -> SimpleNamespace:
    """A family that notes each content it is given in a file of its own, so that calls can be counted."""

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            texts = batch.column("transcript").to_pylist()
            for number, text in enumerate(texts):
                if fatal and fatal in text:
                    os._exit(1)
                with (log / f"{os.getpid()}.txt").open("a") as file:
                    file.write(f"{batch.column('content_id')[number]}\n")
            bad = ["no words here" if text.startswith("bad") else None for text in texts]
            yield pa.RecordBatch.from_pydict(
                {
                    "content_id": batch.column("content_id"),
                    "letters": pa.array([None if b else len(t) for t, b in zip(texts, bad, strict=True)], pa.int32()),
                    "first": pa.array([None if b else t.split()[0] for t, b in zip(texts, bad, strict=True)]),
                    "reason": pa.array(bad, pa.string()),
                }
            )

    schema = "content_id string, letters int, first string, reason string"
    return SimpleNamespace(compute=lambda contents: contents.mapInArrow(work, schema))


@pytest.fixture
def given(context, tmp_path, monkeypatch):
    """The context with the table in its catalogue, and where the family keeps its log."""
    log = tmp_path / "computed"
    log.mkdir()
    catalog = Catalog([*context.catalog.sources, LENGTHS])
    monkeypatch.setattr(extract_module, "family", lambda _: family(log))
    made = replace(context, catalog=catalog)

    def use(module):
        monkeypatch.setattr(extract_module, "family", lambda _: module)

    return SimpleNamespace(context=made, log=log, said=context.said, use=use)


def land(context, episodes: dict[str, str]) -> None:
    path = Path(context.settings.landing) / "podcasts/transcripts.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = list(episodes)
    pq.write_table(
        pa.table({"episode_id": ids, "show": ["s"] * len(ids), "transcript": [episodes[i] for i in ids]}), path
    )


def ingested(context, spark, episodes: dict[str, str], day: date = DAY) -> None:
    land(context, episodes)
    outcome = ingest(context, spark, context.catalog.source("episode_transcripts"), [day])
    assert outcome.exit_code == 0, outcome.failed


def built(context, spark, *days: date, table: Table = LENGTHS) -> dict[str, tuple[int, str]]:
    """The last of the days, as it is staged: episode -> its signals."""
    extract(context, spark, table, list(days) or [DAY])
    stage = read_stage(context.lake.of(table), (days or [DAY])[-1], context.run.run_id)
    files = [f"{context.lake.of(table).path}/{file.path}" for file in stage.files]
    rows = pa.concat_tables([pq.ParquetFile(file).read() for file in files]).to_pylist() if files else []
    return {row["episode_id"]: (row["letters"], row["first"]) for row in rows}


def computed(log: Path) -> list[str]:
    return sorted(line for file in log.glob("*.txt") for line in file.read_text().split())


def test_each_content_is_computed_once(given, spark, new_run):
    texts = {f"e{n}": f"word{n % 4} number {n % 4}" for n in range(10)}  # four texts, ten episodes
    ingested(given.context, spark, texts)
    assert built(given.context, spark) == {e: (len(t), t.split()[0]) for e, t in texts.items()}
    assert len(computed(given.log)) == 4
    # The same day again, and another day of the same file: nothing is computed.
    assert len(built(new_run(given.context), spark)) == 10
    later = new_run(given.context)
    ingested(later, spark, texts, NEXT)
    assert len(built(later, spark, NEXT)) == 10
    assert len(computed(given.log)) == 4
    assert "test_lengths_v1: 0 of 0 contents done, 4 cached, 0 set aside" in given.said


def test_many_contents_are_computed_in_no_more_batches_than_are_read_through_in_time(given, spark, monkeypatch):
    monkeypatch.setattr(contents_module, "MOST_BATCHES", 2)
    ingested(given.context, spark, {f"e{n}": f"text {n}" for n in range(20)})  # by threes that would be seven
    assert len(built(given.context, spark)) == 20
    told = [line for line in given.said if "contents done" in line]
    assert len(told) == 4  # at the beginning, after each, and with what was set aside
    assert told[-1].startswith("test_lengths_v1: 20 of 20 contents done")


def test_a_changed_content_is_computed_once_and_a_removed_one_has_no_row(given, spark, new_run):
    ingested(given.context, spark, {"a": "first text", "b": "second text", "c": "third text"})
    built(given.context, spark)
    later = new_run(given.context)
    ingested(later, spark, {"a": "first text", "b": "another text"}, NEXT)
    assert built(later, spark, NEXT) == {"a": (10, "first"), "b": (12, "another")}
    assert len(computed(given.log)) == 4


def test_what_nothing_can_be_made_of_is_set_aside_with_its_reason(given, spark, new_run):
    ingested(given.context, spark, {"a": "good text", "b": "bad text", "c": "bad as well"})
    assert set(built(given.context, spark)) == {"a"}
    (found,) = quarantined(given.context, "test_lengths_v1", str(DAY))
    assert (found["rule"], found["rows"]) == ("no words here", 2)
    assert {one["episode_id"] for one in found["examples"]} == {"b", "c"}
    # It is not tried again; once the text is mended the day's quarantine is empty.
    assert set(built(new_run(given.context), spark)) == {"a"}
    assert len(computed(given.log)) == 3
    mended = new_run(given.context)
    ingested(mended, spark, {"a": "good text", "b": "mended text"})
    assert set(built(mended, spark)) == {"a", "b"}
    assert quarantined(given.context, "test_lengths_v1", str(DAY)) == []


def test_a_content_that_ends_its_reader_is_found_and_set_aside(given, spark):
    given.use(family(given.log, fatal="poison"))
    texts = {f"e{n}": f"text {n}" for n in range(7)} | {"p": "poison text"}
    ingested(given.context, spark, texts)
    assert set(built(given.context, spark)) == set(texts) - {"p"}
    (found,) = quarantined(given.context, "test_lengths_v1", str(DAY))
    assert (found["rule"], found["rows"]) == (ENDS_ITS_READER, 1)


def test_when_every_reader_ends_the_machine_is_to_blame_and_nothing_is_kept(given, spark, new_run):
    given.use(family(given.log, fatal="text"))
    ingested(given.context, spark, {"a": "text one", "b": "text two"})
    with pytest.raises(Temporary, match="every process that reads a content was lost, with each of 2"):
        built(given.context, spark)
    given.use(family(given.log))
    assert set(built(new_run(given.context), spark)) == {"a", "b"}


def test_many_contents_without_a_result_are_no_day(given, spark):
    def silent(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from ()

    whole = family(given.log)
    given.use(SimpleNamespace(compute=lambda contents: contents.mapInArrow(silent, whole.compute(contents).schema)))
    ingested(given.context, spark, {f"e{n}": f"text {n}" for n in range(4)})
    with pytest.raises(Temporary, match="4 of 4 contents have gone, or changed"):
        built(given.context, spark)


def test_a_family_that_asks_somebody_else_says_why_there_is_no_row(given, spark, new_run):
    def silent(batches):
        for _ in batches:
            yield from ()

    whole = family(given.log)
    told = {"NO_ROW": "nobody answered", "why_no_row": lambda: "nobody is there"}
    none = SimpleNamespace(compute=lambda contents: contents.mapInArrow(silent, whole.compute(contents).schema), **told)
    given.use(none)
    ingested(given.context, spark, {"a": "text one", "b": "text two"})
    with pytest.raises(Temporary, match="2 of 2 contents have no result yet: nobody is there"):
        built(given.context, spark)


def test_a_day_of_another_revision_is_stale(given, spark, new_run):
    ingested(given.context, spark, {"a": "text one"})
    built(given.context, spark)
    stage = read_stage(given.context.lake.of(LENGTHS), DAY, given.context.run.run_id)
    promote(given.context.lake.of(LENGTHS), stage, stage.files)
    assert stale_days(given.context) == []
    assert LENGTHS.content is not None
    other = replace(LENGTHS, content=replace(LENGTHS.content, revision="2"))
    (found,) = stale_days(replace(given.context, catalog=Catalog([*given.context.catalog.sources, other])))
    assert (found.table, found.day, found.state) == ("test_lengths_v1", DAY, "stale")
    assert found.because.startswith(f"what computes it is {revision_of(other)} now, was {revision_of(LENGTHS)}")


def test_columns_of_other_revisions_and_of_none_are_no_matter(given, spark, new_run):
    """What an earlier revision left in the table under a name that the driver has since, and a column yet to come."""
    assert LENGTHS.content is not None
    ingested(given.context, spark, {"a": "text one"})
    old = family(given.log)
    named = SimpleNamespace(compute=lambda contents: old.compute(contents).withColumn("other", F.lit("x")))
    with_other = replace(LENGTHS, columns=(*LENGTHS.columns, Computed("other", "string", about="o")))
    given.use(named)
    catalog = Catalog([*given.context.catalog.sources, with_other])
    built(replace(given.context, catalog=catalog), spark, table=with_other)
    given.use(old)
    assert built(new_run(given.context), spark) == {"a": (8, "text")}


def attempted(whole: SimpleNamespace, **verdict: object) -> SimpleNamespace:
    """The family, whose results of what begins with "late" are no good yet."""

    def compute(contents):
        made, late = whole.compute(contents), F.col("first") == "late"
        changes = {name: F.when(late, F.lit(value)).otherwise(F.col(name)) for name, value in verdict.items()}
        changes |= {"letters": F.when(~late, F.col("letters")), "again": F.coalesce(late, F.lit(False))}
        return made.withColumns(changes)

    return SimpleNamespace(compute=compute)


def test_a_result_that_is_no_good_yet_is_a_row_until_the_next_run_has_computed_it_again(given, spark, new_run):
    texts = {"a": "good text", "b": "late text"}
    ingested(given.context, spark, texts)
    whole = family(given.log)
    given.use(attempted(whole))
    assert built(given.context, spark) == {"a": (9, "good"), "b": (None, "late")}
    # No better: of two attempts the later one is the row, and one alone.
    assert built(new_run(given.context), spark) == {"a": (9, "good"), "b": (None, "late")}
    assert len(computed(given.log)) == 3
    # On trial it is computed, too, and nothing of that is kept.
    scratch = Lake(f"{given.context.settings.lake}-scratch")
    given.use(whole)
    tried = signals_of(new_run(given.context), spark, LENGTHS, [DAY], scratch).signals
    assert {row.episode_id: row.letters for row in tried.collect()} == {"a": 9, "b": 9}
    assert built(new_run(given.context), spark) == {"a": (9, "good"), "b": (9, "late")}
    assert len(computed(given.log)) == 5
    assert built(new_run(given.context), spark) == {"a": (9, "good"), "b": (9, "late")}
    assert len(computed(given.log)) == 5


def test_what_has_no_answer_holds_a_day_if_it_is_much_and_is_set_aside_with_its_own_reason(given, spark, new_run):
    ingested(given.context, spark, {"a": "good text", "b": "late text", "c": "late as well"})
    none = attempted(family(given.log), reason="HTTP 503: busy")
    none.why_no_row = lambda: "nobody is there"
    given.use(none)
    with pytest.raises(Temporary, match="2 of 3 contents have no result yet: nobody is there"):
        built(given.context, spark)
    less = new_run(given.context)
    ingested(less, spark, {"a": "good text", "b": "late text"})
    assert built(less, spark) == {"a": (9, "good")}
    (found,) = quarantined(given.context, "test_lengths_v1", str(DAY))
    assert (found["rule"], found["rows"]) == ("HTTP 503: busy", 1)
    given.use(family(given.log))
    assert built(new_run(given.context), spark) == {"a": (9, "good"), "b": (9, "late")}
    assert quarantined(given.context, "test_lengths_v1", str(DAY)) == []


def test_a_content_without_a_result_is_tried_again(given, spark, new_run):
    def silent(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from ()

    whole = family(given.log)
    given.use(SimpleNamespace(compute=lambda contents: contents.mapInArrow(silent, whole.compute(contents).schema)))
    ingested(given.context, spark, {"a": "good text"})
    assert built(given.context, spark) == {}
    (found,) = quarantined(given.context, "test_lengths_v1", str(DAY))
    assert (found["rule"], found["rows"]) == (NOT_READ, 1)
    given.use(whole)
    assert built(new_run(given.context), spark) == {"a": (9, "good")}


def test_a_run_that_was_killed_goes_on_where_it_was(given, spark, new_run, monkeypatch):
    texts = {f"e{n}": f"text {n}" for n in range(9)}
    ingested(given.context, spark, texts)
    add, kept = Contents.add, []

    def dies(self, rows, run, part):
        if len(kept) == 2:
            raise KeyboardInterrupt
        kept.append(part)
        return add(self, rows, run, part)

    monkeypatch.setattr(Contents, "add", dies)
    with pytest.raises(KeyboardInterrupt):
        built(given.context, spark)
    done = len(computed(given.log))
    assert 0 < done < 9
    monkeypatch.setattr(Contents, "add", add)
    assert set(built(new_run(given.context), spark)) == set(texts)
    assert len(computed(given.log)) == 9


def test_what_another_run_has_kept_meanwhile_is_not_kept_twice(given, spark, new_run, monkeypatch):
    ingested(given.context, spark, {"a": "text one", "b": "text two"})
    add, rival = Contents.add, new_run(given.context)

    def overtaken(self, rows, run, part):
        monkeypatch.setattr(Contents, "add", add)
        assert set(built(rival, spark)) == {"a", "b"}
        return add(self, rows, run, part)

    monkeypatch.setattr(Contents, "add", overtaken)
    assert built(given.context, spark) == {"a": (8, "text"), "b": (8, "text")}
    kept = DeltaTable(given.context.lake.contents(LENGTHS).path).to_pyarrow_table()
    assert kept.num_rows == 2


def test_another_revision_computes_everything_anew(given, spark, new_run):
    ingested(given.context, spark, {"a": "text one", "b": "text two"})
    built(given.context, spark)
    assert LENGTHS.content is not None
    other = replace(LENGTHS, content=replace(LENGTHS.content, revision="2"))
    assert revision_of(other) != revision_of(LENGTHS)
    changed = replace(new_run(given.context), catalog=Catalog([*given.context.catalog.sources, other]))
    assert set(built(changed, spark, table=other)) == {"a", "b"}
    assert len(computed(given.log)) == 4


def test_a_trial_keeps_nothing(given, spark, tmp_path):
    ingested(given.context, spark, {"a": "text one", "b": "bad text"})
    scratch = Lake(str(tmp_path / "scratch"))
    signals = signals_of(given.context, spark, LENGTHS, [DAY], scratch).signals
    assert [row.episode_id for row in signals.collect()] == ["a"]
    assert not Path(given.context.lake.contents(LENGTHS).path).exists()
    assert not Path(given.context.lake.unusable(LENGTHS).path).exists()


def test_columns_that_the_contract_does_not_declare_are_refused(given, spark):
    whole = family(given.log)
    given.use(SimpleNamespace(compute=lambda contents: whole.compute(contents).withColumnRenamed("first", "last")))
    ingested(given.context, spark, {"a": "text one"})
    with pytest.raises(ContractError, match=r"missing \['first'\], undeclared \['last'\]"):
        built(given.context, spark)


def test_how_long_it_will_take_is_told():
    said: list[str] = []
    noted: list[dict] = []
    ticks = iter([0.0, 30.0])
    tell = lambda line, counts: (said.append(line), noted.append(counts))  # noqa: E731
    progress = Progress("t_v1", 30, 6, tell, clock=lambda: next(ticks))
    progress.add(6, 1)
    progress.add(18, 0)
    assert said == [
        "t_v1: 6 of 24 contents done, 6 cached, 1 set aside; about 2 min left",
        "t_v1: 24 of 24 contents done, 6 cached, 1 set aside",
    ]
    assert noted == [
        {"total": 30, "cached": 6, "done": 6, "aside": 1, "seconds_left": 90},
        {"total": 30, "cached": 6, "done": 24, "aside": 1, "seconds_left": None},
    ]


# What is erased of contents whose owner is taken down

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

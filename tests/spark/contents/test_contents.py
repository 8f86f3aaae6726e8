"""Signals by content: each is computed once, whatever its day; what is of no use is set aside; nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyspark.sql import functions as F

from content_signals.catalog import Catalog
from content_signals.contract import Computed
from content_signals.errors import ContractError, Temporary
from content_signals.inspection.quarantine import quarantined
from content_signals.lake.contents import Contents
from content_signals.lake.layout import Lake
from content_signals.lake.promote import promote
from content_signals.lake.stage import read_stage
from content_signals.pipeline import contents as contents_module
from content_signals.pipeline.contents import ENDS_ITS_READER, NOT_READ, Progress
from content_signals.pipeline.extract import signals_of
from content_signals.pipeline.inputs import revision_of
from content_signals.pipeline.stale import stale_days
from tests.spark.contents.lengths import DAY, LENGTHS, NEXT, built, computed, family, ingested


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


def test_what_was_never_tried_is_computed_before_what_is_computed_again(given, spark, new_run, monkeypatch):
    ingested(given.context, spark, {f"l{n}": f"late text {n}" for n in range(8)})
    given.use(attempted(family(given.log)))
    built(given.context, spark)
    later = new_run(given.context)
    texts = {f"l{n}": f"late text {n}" for n in range(8)} | {f"n{n}": f"new text {n}" for n in range(8)}
    ingested(later, spark, texts, NEXT)
    add, firsts = Contents.add, []

    def noted(self, rows, run, part):
        added = add(self, rows, run, part)
        firsts.append({row["first"] for row in added.select("first").collect()})
        return added

    monkeypatch.setattr(Contents, "add", noted)
    monkeypatch.setattr(contents_module, "MOST_BATCHES", 4)
    given.said.clear()
    assert len(built(later, spark, NEXT)) == 16
    assert firsts == [{"new"}, {"new"}, {"late"}, {"late"}]  # eight by threes are three batches: four are the most
    told = [line for line in given.said if "contents done" in line]
    assert told[0].startswith("test_lengths_v1: 0 of 16 contents done, 0 cached")
    assert told[-1].startswith("test_lengths_v1: 16 of 16 contents done, 0 cached, 0 set aside")


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

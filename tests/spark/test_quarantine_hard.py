"""Rows set aside where it is hard: odd rules, odd keys, whole days of them, runs killed anywhere, two at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from content_signals.errors import BrokenData, UsageError
from content_signals.inspection.quarantine import quarantined
from content_signals.lake.session import sized_for
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import digests_of, read_stage
from content_signals.pipeline import validate as validation
from content_signals.pipeline.promotion import LetThrough, promote_days
from content_signals.pipeline.validate import validate
from content_signals.quality import quarantine
from content_signals.quality.predicates import flagged
from content_signals.quality.scan import Scanner
from content_signals.quality.verdict import Verdict, read_verdict
from tests.changes import DAY, GOOD, NO_NULL, UNIQUE, in_set, rows_of, rule, stage_changes, suite
from tests.quality_judged import UNCOMPILED, conf
from tests.quality_rules import where

BAD = ("P", "zzz", "lost")
KINDS = in_set("added", "removed")
STRICT = suite(NO_NULL, UNIQUE, KINDS)


@pytest.fixture(scope="module", autouse=True)
def quick(spark):
    """Few rows and many queries."""
    with conf(spark, UNCOMPILED):
        yield


@pytest.fixture
def changes(context):
    return context.catalog.table("playlist_changes")


@pytest.fixture
def rules(monkeypatch):
    """Let tables be judged by these rules."""
    return lambda *found: monkeypatch.setattr(validation, "read_suite", lambda _: suite(*found))


FRAME = "id int, k string, w string, v int, u int, `a.b` int, `a b` int, `größe` int"
ROWS = [
    (0, "k1", "x", 1, 1, 1, 1, 1),
    (1, "k1", "y", 2, 2, 1, 1, 1),
    (2, "k2", "x", 3, 1, None, None, None),
    (3, "k2", "x", 4, 9, 1, 1, 1),
    (4, None, "x", 5, 1, 1, 1, 1),
    (5, None, "z", 5, None, 1, 1, 1),
    (6, "k3", "q", None, 0, 1, 1, 1),
    (7, "k3", "q", 2, 0, 1, 1, 1),
]
# Rule -> the rows that break it; None: it is not about single rows.
BROKEN = [
    (rule("column_values_to_be_unique", column="k"), {0, 1, 2, 3, 6, 7}),
    (rule("column_values_to_be_unique", column="k", **where("w = 'x'")), {2, 3}),
    (rule("compound_columns_to_be_unique", column_list=["k", "w"]), {2, 3, 6, 7}),
    (rule("compound_columns_to_be_unique", column_list=["k", "w"], **where("v <> 3")), set()),
    (rule("column_values_to_not_be_null", column="k", mostly=0.9), {4, 5}),
    (rule("column_values_to_not_be_null", column="k", mostly=0.5), set()),
    (rule("column_values_to_be_between", column="v", max_value=1), {1, 2, 3, 4, 5, 7}),
    (rule("column_values_to_be_between", column="v", max_value=1, **where("w = 'x'")), {2, 3, 4}),
    (rule("column_pair_values_a_to_be_greater_than_b", column_A="v", column_B="u", or_equal=True), {3}),
    (rule("column_values_to_match_regex", column="w", regex="^x$"), {1, 5, 6, 7}),
    (rule("multicolumn_sum_to_equal", column_list=["v", "u"], sum_total=4), {0, 3, 4, 5, 6, 7}),
    (rule("column_values_to_not_be_null", column="a.b"), {2}),
    (rule("column_values_to_not_be_null", column="a b"), {2}),
    (rule("column_values_to_not_be_null", column="größe"), {2}),
    (rule("column_value_z_scores_to_be_less_than", column="v", threshold=1, double_sided=True), None),
    (rule("column_values_to_be_increasing", column="u"), None),
    (rule("column_sum_to_be_between", column="v", max_value=1), None),
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of row conditions as text, in GX 2
def test_exactly_the_rows_that_break_a_rule_are_found(spark):
    with sized_for(spark, 1):
        frame = spark.createDataFrame(ROWS, FRAME).coalesce(1)
        scanner = Scanner(suite(*[one for one, _ in BROKEN]))
        failures = scanner.failures(scanner.run(frame))
        predicates = scanner.predicates(frame, [one.name for one in failures])
        marked, broken = flagged(frame, predicates, "rules")
        found = {row["id"]: row["rules"] for row in marked.where(broken).collect()}
    seen: dict[str, int] = {}
    for one, rows in BROKEN:
        kwargs = one["kwargs"]
        columns = [kwargs[name] for name in ("column", "column_A", "column_B") if name in kwargs]
        name = f"{one['type']}({', '.join(columns or kwargs['column_list'])})"
        seen[name] = seen.get(name, 0) + 1
        name += f"#{seen[name]}" if seen[name] > 1 else ""
        told = {failure.name: failure.rows for failure in failures}
        if rows is None:
            assert name in told
            assert name not in predicates
            continue
        assert {id_ for id_, names in found.items() if name in names} == rows, name
        assert told.get(name, 0) == len(rows), name


def test_hard_days_in_one_run(context, spark, changes, rules, new_run):
    """Exactly one in a hundred bad, more, all; no row; odd keys; half a file; a column more."""
    rules(*STRICT["expectations"])
    days = [DAY + timedelta(days=n) for n in range(8)]
    exact, more, whole, empty, odd, nulls, half, wide = days
    bad = [("P", f"x{n}", "lost") for n in range(4)]
    stage_changes(spark, context, [*GOOD, *bad[:3]], exact)
    stage_changes(spark, context, [*GOOD[1:], *bad], more)
    stage_changes(spark, context, bad, whole)
    stage_changes(spark, context, [], empty)
    stage_changes(spark, context, [*GOOD, ("Ж/é", "日本語 `a`\n🎵", "lost"), ("Ж", "日本語", "added")], odd)
    stage_changes(spark, context, [*GOOD, ("P", None, "added"), ("P", None, "added")], nulls)
    cut = stage_changes(spark, context, GOOD, half)
    file = Path(context.lake.of(changes).path) / cut.files[0].path
    file.write_bytes(file.read_bytes()[:1000])
    stage_changes(spark, context, [(*row, "new") for row in [*GOOD, BAD]], wide, more="extra string, ")

    judged = validate(new_run(context), spark, changes, days, None)
    assert judged.quarantined == 3 + 4 + 4 + 1 + 2 + 1
    assert set(judged.failed) == {more, whole, half}
    assert "4 of 300 rows break critical rules (1.33%); at most 1.00% may" in judged.failed[more].what
    assert "cannot be read" in judged.failed[half].what
    assert isinstance(judged.failed[half], BrokenData)
    told = read_verdict(context.lake.of(changes), read_stage(context.lake.of(changes), odd))
    assert told.failures[0].keys == ("Ж/é/日本語 `a`\n🎵",)
    null_key = read_verdict(context.lake.of(changes), read_stage(context.lake.of(changes), nulls))
    assert [(one.rows, one.keys) for one in null_key.failures] == [(2, ("P/null",)), (2, ("P/null",))]

    promoted = promote_days(context, changes, days, None)
    assert promoted.days == [exact, empty, odd, nulls, wide]
    table = context.lake.of(changes)
    for day in (exact, nulls, wide):
        assert rows_of(spark, table, day) == sorted(GOOD)
    assert len(rows_of(spark, table, odd)) == len(GOOD) + 1
    [shown] = quarantined(context, changes.table, str(wide))
    assert shown["examples"][0]["extra"] == "new", "the quarantine has the column too"
    [shown] = quarantined(context, changes.table, str(exact))
    assert (shown["rows"], "extra" in shown["examples"][0]) == (3, False)
    decision = LetThrough("kim", "let us see what happens", context.run.now)
    assert "every row is in quarantine" in promote_days(context, changes, [whole], None, decision).failed[whole].what


def test_a_rule_whose_rows_cannot_be_found_stops_the_day(context, spark, changes, rules):
    """And two rules of one kind for one column have names of their own."""
    twice = [in_set("added", "removed"), in_set("added", "lost", mostly=0.99)]
    z_score = rule("column_value_z_scores_to_be_less_than", column="n", threshold=3, double_sided=True)
    rules(*twice, z_score)
    rows = [(*row, n) for n, row in enumerate([*GOOD, BAD])]
    stage = stage_changes(spark, context, [*rows, ("P", "far", "added", 10**6)], more="n int, ")
    outcome = validate(context, spark, changes, [DAY], None)
    verdict = read_verdict(context.lake.of(changes), stage)
    assert [one.partition(":")[0] for one in verdict.stopped_by] == [
        "expect_column_value_z_scores_to_be_less_than of n",
        "100 of 299 rows break critical rules (33.44%); at most 1.00% may",
    ]
    names = {one["rule"]: one["rows"] for one in quarantined(context, changes.table, str(DAY))}
    kind = "expect_column_values_to_be_in_set(change)"
    assert names == {kind: 1, f"{kind}#2": 99}
    assert outcome.quarantined == 100


def test_a_row_that_breaks_a_rule_and_is_not_found_stops_the_day(context, spark, changes, rules, monkeypatch):
    rules(KINDS)
    stage_changes(spark, context, [*GOOD, BAD, ("P", "zzy", "lost")])
    found = validation.quarantine.set_aside

    def one_missed(table, aside, frame, stage, predicates, *more):
        fewer = {
            name: type(one)(one.breaks & (F.col("track_id") == "zzz"), one.window) for name, one in predicates.items()
        }
        return found(table, aside, frame, stage, fewer, *more)

    monkeypatch.setattr(validation.quarantine, "set_aside", one_missed)
    failed = validate(context, spark, changes, [DAY], None).failed[DAY]
    assert "expect_column_values_to_be_in_set(change): 2 rows break it, 1 of them were found" in failed.what


def killed(*_, **__):
    raise KeyboardInterrupt


def test_killed_anywhere_and_run_again(context, spark, changes, rules, new_run, monkeypatch):
    rules(*STRICT["expectations"])
    stage_changes(spark, context, [*GOOD, BAD], files=2)
    places = [
        (quarantine, "_counted"),  # bad rows are written, and in no version
        (quarantine, "_show"),
        (quarantine, "less"),  # in quarantine, and good rows rewritten
        (validation, "docs_page"),
        (validation.status, "record_verdict"),
        (Verdict, "write"),
    ]
    for place, name in places:
        with monkeypatch.context() as killing:
            killing.setattr(place, name, killed)
            with pytest.raises(KeyboardInterrupt):
                validate(new_run(context), spark, changes, [DAY], None)
        assert "has no verdict" in promote_days(context, changes, [DAY], None).failed[DAY].what
    assert validate(new_run(context), spark, changes, [DAY], None).quarantined == 1
    promote_days(context, changes, [DAY], None)
    assert rows_of(spark, context.lake.of(changes)) == sorted(GOOD)
    assert rows_of(spark, context.lake.quarantine(changes)) == [BAD]


def test_two_validations_at_once(context, spark, changes, rules, new_run):
    rules(*STRICT["expectations"])
    stage_changes(spark, context, [*GOOD, BAD])
    runs = [new_run(context) for _ in range(2)]
    with ThreadPoolExecutor(max_workers=2) as pool:
        judged = list(pool.map(lambda run: validate(run, spark, changes, [DAY], None), runs))
    assert [one.quarantined for one in judged] == [1, 1]
    promote_days(context, changes, [DAY], None)
    table, aside = context.lake.of(changes), context.lake.quarantine(changes)
    assert (rows_of(spark, table), rows_of(spark, aside)) == (sorted(GOOD), [BAD])
    assert Snapshot(aside).fence(DAY) == max(run.run.fence for run in runs), "the later one's quarantine stands"


def test_rules_changed_after_the_verdict_change_nothing(context, spark, changes, rules):
    """A verdict is for files, by the rules as they were: promote asks no rule."""
    rules(KINDS)
    stage_changes(spark, context, [*GOOD, BAD])
    validate(context, spark, changes, [DAY], None)
    rules(in_set("nothing at all"))
    assert promote_days(context, changes, [DAY], None).rows_out == len(GOOD)


def test_the_same_file_is_known_although_rows_of_it_were_set_aside(context, spark, changes, rules, new_run):
    rules(KINDS, rule("table_to_differ_from_day_before", history_of=changes.table))
    next_day = date(2020, 3, 2)
    for day in (DAY, next_day):
        stage_changes(spark, context, [*GOOD, BAD], day)
    validate(context, spark, changes, [DAY], None)
    promote_days(context, changes, [DAY], None)
    judged = validate(new_run(context), spark, changes, [next_day], None)
    assert "expect_table_to_differ_from_day_before" in judged.failed[next_day].what


def test_digests_add_up(spark, context, changes, rules):
    rules(KINDS)
    stage = stage_changes(spark, context, [*GOOD, BAD], files=3)
    validate(context, spark, changes, [DAY], None)
    kept = read_verdict(context.lake.of(changes), stage).kept
    frame = spark.read.parquet(*[f"{context.lake.of(changes).path}/{one.path}" for one in kept.files])
    assert kept.digest == digests_of(frame.withColumn("ds", F.lit(DAY)))[DAY][1]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (rule("column_values_to_be_nice", column="n"), "rule 2, expect_column_values_to_be_nice(n)"),
        (
            rule("column_values_to_be_between", column="n", max_value="z"),
            "rule 2, expect_column_values_to_be_between(n)",
        ),
        (rule("column_values_to_not_be_null"), "rule 2, expect_column_values_to_not_be_null()"),
        (rule("column_values_to_not_be_null", "grave", column="n"), "rule 2, expect_column_values_to_not_be_null(n)"),
    ],
)
def test_a_rule_that_great_expectations_refuses_is_named(spark, broken, said):
    with pytest.raises(UsageError) as error:
        Scanner(suite(NO_NULL, broken))
    assert error.value.what.startswith(f"expectations/playlist_changes_v1.json: {said}: ")

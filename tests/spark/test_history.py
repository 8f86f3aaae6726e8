"""Rules about history give the same in plain Great Expectations as in ours, and render in its Data Docs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import great_expectations as gx
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, FloatType

from content_signals.lake.session import sized_for
from content_signals.lake.stage import digests_of
from content_signals.quality.baseline import Baseline
from content_signals.quality.distribution import bucket_of
from content_signals.quality.docs_page import docs_page
from content_signals.quality.history import Compared, kept_metrics
from content_signals.quality.scan import Scanner
from content_signals.quality.suite import FOLDER
from tests.changes import GOOD, stage_changes
from tests.changes import rule as rule_of
from tests.faults.good_days import ENGAGEMENT, POPULARITY, TITLE, good_rows
from tests.lake import judged, promoted
from tests.quality_judged import UNCOMPILED, conf

DAY = date(2020, 3, 20)
NAME = "track_title_v1"
COLUMNS = {"row_count": {}, "column_mean": {"column": "n"}, "column_null_share": {"column": "s"}}
COLUMNS |= {"column_distribution": {"column": "n"}, "column_distribution ": {"column": "s"}}
RULES = [
    *(rule_of(f"{kind.strip()}_to_be_like_history", history_of=NAME, **more) for kind, more in COLUMNS.items()),
    rule_of("table_to_differ_from_day_before", history_of=NAME),
]
OBSERVED = {
    "usual": {"rows": "600", "mean": "24.5", "nulls": "0"},
    "odd": {"rows": "2400", "mean": "1245", "nulls": "0.52"},
}
SUITE = {"name": NAME, "expectations": RULES}


@pytest.fixture(scope="module", autouse=True)
def quick(spark):
    """Few rows and many queries."""
    with sized_for(spark, 1), conf(spark, UNCOMPILED):
        yield


@pytest.fixture(scope="module")
def frames(spark):
    """A usual day, and one on which every number is ten times as large, texts are missing and rows have doubled."""
    n, s = (F.col("id") % 50).cast("double"), F.col("id").cast("string")
    rows = spark.range(600).select(n.alias("n"), s.alias("s"), F.lit(DAY).alias("ds"))
    moved = rows.union(rows).withColumns({"n": F.col("n") * 10 + 1000, "s": F.when(F.col("n") > 25, F.col("s"))})
    return {"usual": rows, "odd": moved.union(moved)}


@pytest.fixture
def table(context, frames):
    """Eight promoted days like the usual one; of the last its very rows."""
    table = context.lake.of(context.catalog.table(NAME))
    metrics = kept_metrics(Scanner(SUITE).run(frames["usual"], None, Compared(DAY, Baseline(table), "earlier")))
    assert set(metrics) == {"rows", "mean(n)", "null_share(s)", "buckets(n)", "buckets(s)", "digest"}
    for ago in range(1, 9):
        day = DAY - timedelta(days=ago)
        digest = digests_of(frames["usual"])[DAY][1] if ago == 1 else "another"
        verdict = judged(promoted(table, day, {"n": [1.0]}), 1)
        replace(verdict, metrics=json.loads(json.dumps({**metrics, "digest": digest}))).write(table)
    return table


def said(result):
    """What a result says of each rule, without what differs from engine to engine."""
    return {
        f"{one.expectation_config.type} {one.expectation_config.kwargs.get('column', '')}": (one.success, one.result)
        for one in result.results
    }


def plainly(suite, frame, folder, result_format="SUMMARY"):
    """What Great Expectations alone says: a checkpoint in a context of its own; and the pages of its site."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    site = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}
    context.add_data_docs_site("ours", {"class_name": "SiteBuilder", "store_backend": site})
    source = context.data_sources.add_spark("frames", persist=False)
    batch = source.add_dataframe_asset("day").add_batch_definition_whole_dataframe("all")
    definition = gx.ValidationDefinition(name="v", data=batch, suite=context.suites.add(gx.ExpectationSuite(**suite)))
    validations = [context.validation_definitions.add(definition)]
    checkpoint = gx.Checkpoint(name="c", validation_definitions=validations, result_format=result_format)
    done = context.checkpoints.add(checkpoint).run(batch_parameters={"dataframe": frame})
    context.build_data_docs(["ours"])
    pages = [path.read_text() for path in Path(folder).glob("validations/**/*.html")]
    return next(iter(done.run_results.values())), pages


@pytest.mark.parametrize("name", ["usual", "odd"])
def test_plain_great_expectations_says_the_same(context, table, frames, name, monkeypatch, tmp_path):
    monkeypatch.setenv("CONTENT_SIGNALS_LAKE", context.settings.lake)
    frame = frames[name]
    compared = Compared(DAY, Baseline(table), digests_of(frame)[DAY][1])
    ours = Scanner(SUITE).run(frame, None, compared)
    result, pages = plainly(SUITE, frame, tmp_path / "docs")
    assert said(result) == said(ours)
    passed = {kind for kind, (success, _) in said(ours).items() if success}
    same_rows, texts = "expect_table_to_differ_from_day_before ", "expect_column_distribution_to_be_like_history s"
    assert passed == {"usual": set(said(ours)) - {same_rows}, "odd": {same_rows, texts}}[name]
    assert not any(one.exception_info.get("raised_exception") for one in result.results)
    for page in (docs_page(ours), *pages):
        shown = " ".join(re.sub("<[^>]+>", " ", page).split())
        for words in (
            "rows must be 0.5 to 2.0 times the median of the last 28 promoted days. {rows}; allowed: 300 to 1200 (0.5",
            "mean must be 0.5 to 2.0 times the median of the last 28 promoted days. {mean}; allowed: 12.25 to 49",
            "share of nulls must be within 0.1 of the median of the last 28 promoted days. {nulls}; allowed: 0 ± 0.1",
            "distribution (population stability index) must be at most 0.25 from that of the last 28 promoted days.",
            "rows must not all be those of the last 1 promoted days.",
        ):
            assert words.format(**OBSERVED[name]) in shown
    assert len(pages) == 1


def test_a_suite_with_them_survives_json():
    suite = gx.ExpectationSuite(**json.loads(json.dumps(SUITE)))
    again = gx.ExpectationSuite(**json.loads(json.dumps(suite.to_json_dict())))
    kept = [
        [(one.configuration.type, one.configuration.kwargs) for one in each.expectations] for each in (suite, again)
    ]
    assert kept[0] == kept[1]
    assert len(kept[0]) == len(RULES)


@pytest.mark.parametrize("name", [POPULARITY, TITLE, ENGAGEMENT, "playlist_changes_v1"])
def test_great_expectations_alone_runs_the_suite_unchanged(context, spark, name, monkeypatch, tmp_path):
    """Nothing of ours but `content_signals.quality.history` is imported by whoever does this."""
    monkeypatch.setenv("CONTENT_SIGNALS_LAKE", context.settings.lake)
    if name == "playlist_changes_v1":
        stage = stage_changes(spark, context, GOOD)
        file = f"{context.settings.lake}/signals/{name}/{stage.files[0].path}"
        frame = spark.read.parquet(file).withColumn("ds", F.lit(date.fromisoformat(stage.day)))
    else:
        pq.write_table(good_rows(name, DAY, 120), tmp_path / "rows.parquet")
        frame = spark.read.parquet(str(tmp_path / "rows.parquet")).withColumn("ds", F.lit(DAY))
    rules = json.loads((FOLDER / f"{name}.json").read_text())
    result, pages = plainly(rules, frame, tmp_path / "docs", "BOOLEAN_ONLY")
    assert len(result.results) == len(rules["expectations"]), "GX leaves out what it does not know"
    assert result.success, [one.expectation_config for one in result.results if not one.success]
    assert len(pages) == 1


def test_buckets_of_odd_numbers(spark):
    values = [0.0, -0.0, 1.0, -1.0, 1e308, 5e-324, -5e-324, float("inf"), float("-inf"), float("nan"), None]
    frame = spark.createDataFrame([(one,) for one in values], "n double")
    both = frame.select(bucket_of(F.col("n"), DoubleType()), bucket_of(F.col("n").cast("float"), FloatType()))
    found = [row[0] for row in both.collect()]
    assert found[:2] == [0, 0]
    assert found[10] is None
    ordered = [found[n] for n in (8, 3, 6, 0, 5, 2, 4, 7, 9)]
    assert ordered == sorted(set(ordered))

"""What is asked ahead, of several days with one query, is what each day says when it is asked by itself."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from pyspark.sql import functions as F

from content_signals.lake.session import sized_for
from tests.quality_cases import CASES
from tests.quality_frames import ROWS, SCHEMA
from tests.quality_judged import UNCOMPILED, Staged, conf, in_memory, scanned, scanner_of
from tests.quality_rules import column, table, values

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of row conditions as text, in GX 2

FIRST = date(2026, 3, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(4)]


@pytest.fixture(scope="module")
def days(spark):
    """A frame of all days and one of each; the last day has no rows."""
    frame = spark.createDataFrame(ROWS, SCHEMA)
    dated = frame.withColumn("ds", F.date_add(F.lit(FIRST), F.pmod("id", F.lit(3)).cast("int")))
    with sized_for(spark, 40), conf(spark, UNCOMPILED):
        rows = in_memory(Staged(dated, [])).frame.coalesce(1)  # sums of doubles follow the order of parts
        yield rows, {day: rows.where(F.col("ds") == F.lit(day)) for day in DAYS}


def jobs_of(spark, name, ask):
    spark.sparkContext.setJobGroup(name, name)
    try:
        return ask(), len(spark.sparkContext.statusTracker().getJobIdsForGroup(name))
    finally:
        spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)


def test_every_case_is_answered_alike(days):
    rows, by_day = days
    scanner = scanner_of(CASES, "fused")
    assert scanner.ask_ahead(lambda: rows, "ds") == {}, "nothing is known yet"
    scanned(CASES, "fused", by_day[FIRST], scanner=scanner)
    ahead = scanner.ask_ahead(lambda: rows, "ds")
    assert set(ahead) == set(DAYS[:3])
    for day in (DAYS[1], DAYS[3]):
        plain = scanned(CASES, "fused", by_day[day])
        found = scanned(CASES, "fused", by_day[day], scanner=scanner, ahead=ahead.get(day))
        for case, text in plain.items():
            assert found[case] == text, (day, case)


def test_a_day_that_was_asked_ahead_starts_no_job(spark, days):
    rows, by_day = days
    passing = {
        "rows": table("row_count_to_be_between", min_value=1),
        "unique": values("to_be_unique", "id"),
        "mean": column("mean_to_be_between", "x", min_value=0),
    }
    scanner = scanner_of(passing, "fused")
    scanned(passing, "fused", by_day[FIRST], scanner=scanner)
    ahead, asked = jobs_of(spark, "ahead", lambda: scanner.ask_ahead(lambda: rows, "ds"))
    assert asked >= 1
    known, day = ahead[DAYS[1]], by_day[DAYS[1]]
    _, after = jobs_of(spark, "after", lambda: scanned(passing, "fused", day, scanner=scanner, ahead=known))
    assert after == 0

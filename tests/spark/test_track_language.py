"""Languages of tracks in Spark: one row a content, whatever is in it."""

from __future__ import annotations

import pytest
from pyspark.sql import functions as F

from content_signals.signals.track_language.compute import compute
from content_signals.signals.track_language.contract import TRACK_LANGUAGE_V1

pytestmark = pytest.mark.spark

# (content_id, title, artist line) -> language, language of the artist line.
GOLDEN = {
    ("a", "Don't Stop Believin' (2022 Remaster)", "Journey"): ("en", "en"),
    ("b", "Alors on danse", "Stromae"): ("fr", "und"),
    ("c", "Группа крови", "Кино"): ("ru", "und"),
    ("d", "강남스타일", "PSY"): ("ko", "und"),
    ("e", "夜空", "きのこ帝国"): ("ja", "ja"),
    ("f", "1979 - Remastered 2012", "The Smashing Pumpkins"): ("und", "en"),
    ("g", None, None): ("und", "und"),
    ("h", "", ""): ("und", "und"),
}
COLUMNS = ("language", "language_confidence", "artists_language", "artists_language_confidence")


@pytest.fixture(scope="module")
def found(spark):
    contents = spark.createDataFrame([*GOLDEN], "content_id string, title string, artists string")
    return compute(contents.repartition(2)).cache()


def test_columns_are_those_of_the_contract(found):
    assert [(name, kind) for name, kind in found.dtypes if name not in ("content_id", "reason")] == [
        (c.name, c.type) for c in TRACK_LANGUAGE_V1.computed
    ]


def test_each_content_is_one_row_with_its_languages(found):
    rows = {row.content_id: (row.language, row.artists_language) for row in found.collect()}
    assert rows == {content_id: told for (content_id, _, _), told in GOLDEN.items()}
    assert found.count() == len(GOLDEN)


def test_nothing_is_set_aside_and_nothing_is_null(found):
    whole = [F.col(name).isNotNull() for name in COLUMNS]
    assert found.where(F.col("reason").isNull()).where(*whole[:1]).count() == len(GOLDEN)
    assert found.dropna(subset=list(COLUMNS)).count() == len(GOLDEN)


def test_confidences_are_probabilities_and_0_where_there_is_nothing(found):
    rows = {row.content_id: row for row in found.collect()}
    assert all(0 <= row[name] <= 1 for row in rows.values() for name in COLUMNS[1::2])
    assert rows["d"].language_confidence == 1
    assert rows["g"].language_confidence == rows["h"].language_confidence == rows["g"].artists_language_confidence == 0


def test_no_content_is_no_row(spark):
    empty = spark.createDataFrame([], "content_id string, title string, artists string")
    assert compute(empty).count() == 0

"""The file of transcripts, checked row by row."""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

_TEXT = (pa.string(),)
EXPECTED = {"episode_id": _TEXT, "show": _TEXT, "transcript": _TEXT}


def parse(rows: DataFrame) -> DataFrame:
    """The file's rows with the columns of the contract, and `_reason`, null where the row is good.

    Of different good rows for one episode the one whose text has the least SHA-256 is kept, the others are set aside.
    """
    text = F.col("transcript")
    hashed = rows.withColumns({"sha256": F.sha2(text, 256), "characters": F.char_length(text)})
    unfit = (
        F.when(F.trim(F.coalesce("episode_id", F.lit(""))) == "", "episode_id is empty")
        .when(text.isNull() | ~text.rlike(r"\S"), "the transcript is empty")
        .when(~F.is_valid_utf8(text), "the transcript is not UTF-8")
    )
    order = Window.partitionBy("episode_id").orderBy(unfit.isNotNull(), "sha256", "show")
    second = F.when(F.dense_rank().over(order) > 1, "another row of the same episode is kept")
    return hashed.withColumn("_reason", F.coalesce(unfit, second))

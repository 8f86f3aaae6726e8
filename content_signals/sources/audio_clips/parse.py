"""Which files of the folder are clips, and which of them are of no use."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

ENDINGS = ("ogg", "wav", "flac", "mp3")


def parse(files: DataFrame) -> DataFrame:
    """Files as `folder_source` lists them, to the columns of the contract and `_reason`, null where the row is good."""
    reason = F.when(F.col("bytes") == 0, "the file is empty").when(F.col("sha256").isNull(), F.col("unread"))
    return files.withColumnRenamed("name", "clip_id").withColumn("_reason", reason)

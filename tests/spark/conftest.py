"""One Spark session for all Spark tests, small and on one machine."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session")
def spark():
    os.environ["PYSPARK_SUBMIT_ARGS"] = (
        "--properties-file conf/spark.conf --conf spark.sql.shuffle.partitions=2 pyspark-shell"
    )
    from content_signals.lake.session import spark_session

    session = spark_session("tests")
    yield session
    session.stop()

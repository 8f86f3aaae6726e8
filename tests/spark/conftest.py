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


@pytest.fixture
def uncached(spark):
    """What a test caches goes with it."""
    yield
    spark.catalog.clearCache()


@pytest.fixture
def context(tmp_path):
    """A context with a landing folder and a lake of its own."""
    from content_signals.catalog import catalog
    from content_signals.lake.layout import Lake, start_run
    from content_signals.pipeline.context import Context
    from tests.settings import settings_in

    said: list[str] = []
    settings = settings_in(tmp_path)
    made = Context(settings, Lake(settings.lake), catalog(), start_run(), said.append)
    object.__setattr__(made, "said", said)
    return made


@pytest.fixture
def new_run():
    """A context with a new run: the next attempt."""
    from dataclasses import replace

    from content_signals.lake.layout import start_run

    return lambda context: replace(context, run=start_run())

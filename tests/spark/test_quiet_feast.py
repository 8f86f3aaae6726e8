"""Feast's warnings about its own Spark parts are kept quiet, and no others."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from content_signals.features.store import feast_environment
from content_signals.settings import PROJECT
from tests.settings import settings_in

# What Feast does when it reads the registry and the tables: it makes sources and loads its offline store.
USE = """
from feast.infra.offline_stores.contrib.spark_offline_store import spark, spark_source
source = spark_source.SparkSource(name="s", table="t")
spark.get_spark_session_or_start_new_with_repoconfig = None  # the warning comes before the session
try:
    spark.SparkOfflineStore.pull_all_from_table_or_query(store.config, source, [], [], "ts")
except TypeError:
    pass
"""
OURS = "from content_signals.features.store import feature_store; from content_signals.settings import load_settings\n"
STORES = {
    "ours": f"{OURS}store = feature_store(load_settings())",
    "plain": 'from feast import FeatureStore; import definitions; store = FeatureStore(repo_path="feature_repo")',
}
SAID = "The spark offline store is an experimental feature in alpha development: by somebody else"
OTHERS = f"""
import warnings
warnings.warn({SAID!r}, RuntimeWarning)
module = "feast.infra.offline_stores.contrib.spark_offline_store.spark"
warnings.warn_explicit("another warning of Feast", RuntimeWarning, "spark.py", 1, module=module)
"""


@pytest.mark.parametrize("store", STORES)
def test_only_the_known_warnings_are_kept_quiet(tmp_path, store) -> None:
    own = {**feast_environment(settings_in(tmp_path)), "PYTHONPATH": f"{PROJECT}:{PROJECT}/feature_repo"}
    (tmp_path / "feast").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", STORES[store] + USE + OTHERS],
        cwd=PROJECT, env={**os.environ, **own}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    said = [line.rpartition("RuntimeWarning: ")[2] for line in done.stderr.splitlines() if "RuntimeWarning: " in line]
    assert said == [SAID, "another warning of Feast"], done.stderr

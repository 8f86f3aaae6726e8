"""Feast's warnings about its own parts, kept quiet: said at every use, to people who cannot change it."""

from __future__ import annotations

import importlib
import re
import warnings

_PARTS = ("spark", "spark_source")
_PACKAGE = "feast.infra.offline_stores.contrib.spark_offline_store"
_SAID = "The spark (offline store|data source API) is an experimental feature in alpha development"


def quiet_feast() -> None:
    """Ignore those about Spark, of these modules, from now on; every other warning is shown."""
    # First the imports: each puts a filter of its own before those there are, and Feast leaves one for later.
    for part in _PARTS:
        importlib.import_module(f"{_PACKAGE}.{part}")
    modules = rf"{re.escape(_PACKAGE)}\.({'|'.join(_PARTS)})$"
    warnings.filterwarnings("ignore", message=_SAID, category=RuntimeWarning, module=modules)


def quiet_milvus() -> None:
    """Ignore what pydantic says of a field of Feast's own, when its Milvus store is imported."""
    said = 'Field name "vector_enabled" in "MilvusOnlineStoreConfig" shadows'
    warnings.filterwarnings("ignore", message=said, category=UserWarning)

# ruff: noqa: S608  SQL of names that contracts have checked, and of paths
"""Training sets by DuckDB: the files of pinned versions are read as they lie. No JVM."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from content_signals.contract import COMPUTED_AT, EVENT_TS
from content_signals.features.asof import Rows, joined
from content_signals.features.question import Platform, Question, Used
from content_signals.features.service_plan import ViewPlan
from content_signals.lake.files import filesystem
from content_signals.lake.history import SUPERSEDED_AT
from content_signals.lake.snapshot import Snapshot

# By the numbers of feast.types.ValueType, of features that no file has yet.
_TYPES = {1: "blob", 2: "varchar", 3: "integer", 4: "bigint", 5: "double", 6: "float", 7: "boolean", 8: "timestamptz"}
_TYPES |= {number + 10: f"{kind}[]" for number, kind in _TYPES.items()}
# Types of Delta that DuckDB calls otherwise.
_KINDS = {"string": "varchar", "long": "bigint", "timestamp": "timestamptz", "binary": "blob"}


def query(connection: duckdb.DuckDBPyConnection, platform: Platform, question: Question) -> str:
    """SQL of the answer, of a connection that has the numbered rows as `entities`; what else it reads is registered."""
    views = []
    for view, used in zip(question.plan.views, question.used, strict=True):
        relation = _relation(connection, platform, question, view, used)
        views.append(Rows(view.name, view.join_key, view.features, relation, view.ttl))
    return joined("from entities", views, question.mode)


def source(connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> tuple[str, set[str]]:
    """Parquet files as a relation, and the columns it has."""
    if not files:
        return "(select 1 where false)", set()
    if "://" in files[0]:  # by the same means as everything else in the lake
        system, _ = filesystem(files[0])
        parts: Any = [ds.dataset(filesystem(file)[1], filesystem=system) for file in files]
        data = ds.dataset(parts, schema=pa.unify_schemas([part.schema for part in parts]))
        name = f"files_{hashlib.sha256(repr(files).encode()).hexdigest()[:12]}"
        connection.register(name, data)
        return name, set(data.schema.names)
    listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    relation = f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"
    return relation, {name for name, *_ in connection.execute(f"describe select * from {relation}").fetchall()}


def _relation(
    connection: duckdb.DuckDBPyConnection, platform: Platform, question: Question, view: ViewPlan, used: Used
) -> str:
    """SQL of a view's rows, those that rebuilds have superseded too in known mode, without what is taken down."""
    parts = [_rows_of(connection, snapshot, view, question) for snapshot in used.snapshots(platform, question.mode)]
    gone = question.gone(platform, used.table)
    connection.register(f"gone_{view.name}", pa.table({"key": pa.array(gone, pa.string())}))
    everything = " union all ".join(parts)
    return f'select r.* from ({everything}) r anti join gone_{view.name} g on r."{view.join_key}" = g.key'


def _rows_of(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, view: ViewPlan, question: Question) -> str:
    """SQL of the rows of the days asked for; columns that their files do not have are null."""
    fields = json.loads(snapshot.schema_json or "{}")["fields"]  # the type of an array is no name; the view has it
    kinds = {f["name"]: _KINDS.get(f["type"], f["type"]) for f in fields if isinstance(f["type"], str)}
    kinds |= {SUPERSEDED_AT: "timestamptz"}
    relation, there = source(connection, snapshot.files(question.days(view, snapshot)))
    wanted = (view.join_key, *view.features, EVENT_TS, COMPUTED_AT, SUPERSEDED_AT)
    types = dict(zip(view.features, (_TYPES[kind] for kind in view.kinds), strict=True)) | kinds
    columns = [f'"{n}"' if n in there else f'cast(null as {types[n]}) as "{n}"' for n in wanted]
    return f"select {', '.join(columns)} from {relation}"

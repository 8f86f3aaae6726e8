# ruff: noqa: S608  SQL of names that contracts have checked, and of paths
"""Training sets by DuckDB: the files of pinned versions are read as they lie. No JVM."""

from __future__ import annotations

import json
from collections.abc import Sequence

import duckdb
import pyarrow as pa

from content_signals.contract import COMPUTED_AT, EVENT_TS
from content_signals.features.asof import PLACE, Rows, joined
from content_signals.features.question import Platform, Question, Used
from content_signals.features.service_plan import ViewPlan
from content_signals.lake.duckdb_files import PROTOCOL, DuckDbFiles
from content_signals.lake.files import filesystem
from content_signals.lake.history import SUPERSEDED_AT

# By the numbers of feast.types.ValueType, of features that no file has yet.
_TYPES = {1: "blob", 2: "varchar", 3: "integer", 4: "bigint", 5: "double", 6: "float", 7: "boolean", 8: "timestamptz"}
_TYPES |= {number + 10: f"{kind}[]" for number, kind in _TYPES.items()}
# Types of Delta that DuckDB calls otherwise.
_KINDS = {"string": "varchar", "long": "bigint", "timestamp": "timestamptz", "binary": "blob"}
_ROW_BITS = 40  # a row's place: its number in its file, and above that the file's in the list


def query(connection: duckdb.DuckDBPyConnection, platform: Platform, question: Question) -> str:
    """SQL of the answer, of a connection that has the numbered rows as `entities`; what else it reads is registered."""
    views = []
    for view, used in zip(question.plan.views, question.used, strict=True):
        relation = _relation(connection, platform, question, view, used)
        [column], [key] = view.key.columns, view.key.join_keys
        views.append(Rows(view.name, column, key, view.features, relation, view.ttl))
    return joined("from entities", views, question.mode)


def source(connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> tuple[str, set[str]]:
    """Parquet files as a relation, each row with its `_place` in them, and the columns they have."""
    if not files:
        return f"(select null::bigint as {PLACE} where false)", set()
    if "://" in files[0]:  # by the same means as everything else in the lake
        files = _registered(connection, files)
    listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    relation = f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"
    names = {name for name, *_ in connection.execute(f"describe select * from {relation}").fetchall()}
    return f"(select *, (file_index::bigint << {_ROW_BITS}) + file_row_number as {PLACE} from {relation})", names


def _registered(connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> list[str]:
    """Paths under which DuckDB itself reads files of the lake, wherever that is.

    It must not be given them as an Arrow dataset: it hands conditions down, and pyarrow cannot compare what a purge has
    written again (`lake.scan`).
    """
    if not connection.filesystem_is_registered(PROTOCOL):
        connection.register_filesystem(DuckDbFiles(filesystem(files[0])[0]))
    return [f"{PROTOCOL}://{filesystem(file)[1]}" for file in files]


def _relation(
    connection: duckdb.DuckDBPyConnection, platform: Platform, question: Question, view: ViewPlan, used: Used
) -> str:
    """SQL of a view's rows of the days asked for, those that rebuilds have superseded too in known mode.

    Nothing of what is taken down. Columns that the files do not have are null.
    """
    snapshots = used.snapshots(platform, question.mode)
    types = dict(zip(view.features, (_TYPES[kind] for kind in view.kinds), strict=True))
    for snapshot in snapshots:
        fields = json.loads(snapshot.schema_json or "{}")["fields"]
        # The type of an array is no name; the view has it.
        types |= {f["name"]: _KINDS.get(f["type"], f["type"]) for f in fields if isinstance(f["type"], str)}
    types |= {SUPERSEDED_AT: "timestamptz"}
    relation, there = source(connection, [file for one in snapshots for file in one.files(question.days(view, one))])
    [key] = view.key.join_keys
    wanted = (key, *view.features, EVENT_TS, COMPUTED_AT, SUPERSEDED_AT)
    columns = [f'"{n}"' if n in there else f'cast(null as {types[n]}) as "{n}"' for n in wanted]
    rows = f"select {', '.join(columns)}, {PLACE} from {relation}"
    gone = question.gone(platform, used.table)
    if not gone:
        return rows
    connection.register(f"gone_{view.view}", pa.table({"key": pa.array(gone, pa.string())}))
    return f'select r.* from ({rows}) r anti join gone_{view.view} g on r."{key}" = g.key'

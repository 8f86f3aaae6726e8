# ruff: noqa: S608  SQL of names that contracts have checked, and of paths
"""Training sets that never leak: for each entity row the features that were true, or known, at its moment.

    from content_signals.features.training import training_set
    rows = training_set(labels, "playlist_ranker_v1", mode="known").arrow()

Plain Python: DuckDB reads the files of pinned versions of the tables; no JVM. What was used is written to a manifest.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake.exceptions import DeltaError

import content_signals.catalog as catalog_module
from content_signals.catalog import Catalog
from content_signals.contract import COMPUTED_AT, EVENT_TS
from content_signals.declaration import fingerprint
from content_signals.errors import Refused, UnknownName, UsageError
from content_signals.features.asof import EVENT, MOMENT, ROW, Mode, Rows, joined
from content_signals.features.service_plan import ServicePlan, ViewPlan, service_plan
from content_signals.features.store import feature_store
from content_signals.lake.files import all_exist, filesystem, write_json
from content_signals.lake.history import SUPERSEDED_AT
from content_signals.lake.layout import Lake, LakeTable
from content_signals.lake.manifests import Pin, manifest, manifest_folder
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.takedowns import taken_down
from content_signals.settings import Settings, load_settings

MEMORY = "4GB"  # of DuckDB; what does not fit goes to disk
_ONE_DAY = timedelta(days=1)
pc: Any = pyarrow.compute
# By the numbers of feast.types.ValueType, of features that no file has yet.
_TYPES = {1: "blob", 2: "varchar", 3: "integer", 4: "bigint", 5: "double", 6: "float", 7: "boolean", 8: "timestamptz"}
_TYPES |= {number + 10: f"{kind}[]" for number, kind in _TYPES.items()}
# Types of Delta that DuckDB calls otherwise.
_KINDS = {"string": "varchar", "long": "bigint", "timestamp": "timestamptz", "binary": "blob"}


@dataclass(frozen=True)
class _Used:
    """A table as it was used.

    Attributes:
        version: of the table; history: of its history, None where it has none or it was not asked.
        contract: fingerprint of the table's contract.
    """

    table: str
    version: int
    history: int | None
    contract: str
    features: tuple[str, ...]


class TrainingSet:
    """The entity rows with their features. Nothing is computed until rows are asked for; then it is, each time.

    Attributes:
        name: of the manifest, which `training_set_from` takes; "" if none was kept.
    """

    def __init__(self, platform: _Platform, question: _Question, name: str) -> None:
        self._platform, self._question, self.name = platform, question, name

    def arrow(self) -> pa.Table:
        """All of it in memory: the entities' columns, then a column view__feature for each feature."""
        with self._connected() as (connection, sql):
            return cast(pa.Table, connection.sql(sql).to_arrow_table())

    def pandas(self) -> Any:
        """The same in pandas, in nullable types: a whole number beside a null stays one."""
        import pandas as pd

        return self.arrow().to_pandas(types_mapper=pd.ArrowDtype)

    def spark(self, session: Any) -> Any:
        """The same as a Spark frame, by way of a Parquet file in the lake."""
        path = f"{manifest_folder(self._platform.lake, self.name or uuid.uuid4().hex)}/rows.parquet"
        self.write(path)
        return session.read.parquet(path)

    def write(self, path: str) -> None:
        """To one Parquet file, in bounded memory, however many rows there are."""
        files, inner = filesystem(path if "://" in path else str(Path(path).absolute()))
        files.create_dir(inner.rsplit("/", 1)[0], recursive=True)
        with self._connected() as (connection, sql):
            reader: Any = connection.sql(sql).to_arrow_reader(100_000)
            with pq.ParquetWriter(inner, reader.schema, filesystem=files) as writer:
                for batch in reader:
                    writer.write_batch(batch)

    @contextmanager
    def _connected(self) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
        with duckdb.connect(config={"memory_limit": MEMORY}) as connection:
            connection.execute("set TimeZone = 'UTC'")
            yield connection, self._question.sql(connection, self._platform)


def training_set(
    entities: pa.Table | Any,
    service: str,
    mode: Mode = "event",
    *,
    at_versions: Mapping[str, int] | None = None,
    settings: Settings | None = None,
    keep: bool = True,
) -> TrainingSet:
    """The features of a service for each entity row, as of its moment.

    Args:
        entities: an Arrow table or pandas frame with the service's key columns, strings, and `event_timestamp`, aware;
            other columns (labels) come along as they are. Rows out are rows in, in order; nulls and repetitions stay.
        mode: "event": what was true at the moment, by what the tables say now. "known": only what had been computed by
            then; it survives rebuilds and corrections, because superseded rows are kept in the tables' histories.
        at_versions: table -> its Delta version; default: the version it has now.
        keep: write a manifest, from which the same set can be made later, and which keeps its files from upkeep.

    Raises:
        UnknownName: a service or table that there is not.
        UsageError: entities without the columns they need, or versions that cannot be read.
    """
    platform = _Platform.of(settings or load_settings())
    plan = service_plan(feature_store(platform.settings), service)
    rows = _checked(entities, plan)
    used = tuple(_used(platform, view, at_versions or {}) for view in plan.views)
    unknown = set(at_versions or {}) - {one.table for one in used}
    if unknown:
        raise UnknownName(f"table of service {service}", unknown.pop(), [one.table for one in used])
    question = _Question(plan, mode, used, rows)
    return TrainingSet(platform, question, question.keep(platform) if keep else "")


def training_set_from(name: str, settings: Settings | None = None) -> TrainingSet:
    """The training set of a manifest again, byte for byte.

    Raises:
        UnknownName: there is no such manifest, or it was released.
        Refused: something in it was taken down since.
    """
    platform = _Platform.of(settings or load_settings())
    record = manifest(platform.lake, name)
    files, inner = filesystem(f"{manifest_folder(platform.lake, name)}/entities.parquet")
    question = _Question.from_json(record, pq.read_table(inner, filesystem=files))
    for view in question.plan.views:
        entity = platform.entity_of(view.name)
        gone = taken_down(platform.lake, entity)
        found = sorted(set(gone) & set(question.entities.column(view.join_key).to_pylist()))
        if found:
            entry = gone[found[0]]
            raise Refused(
                f"manifest {name}: {len(found)} of its keys were taken down since, e.g. {entity} {found[0]}:"
                f" {entry.reason} ({entry.who}, {entry.at:%Y-%m-%d})",
                state="the manifest stays; nothing was read",
                next_step="make the training set anew without these rows",
            )
    return TrainingSet(platform, question, name)


@dataclass(frozen=True)
class _Platform:
    settings: Settings
    lake: Lake
    catalog: Catalog

    @classmethod
    def of(cls, settings: Settings) -> _Platform:
        return cls(settings, Lake(settings.lake), catalog_module.catalog())

    def entity_of(self, table: str) -> str:
        """Name of the entity that a table is about."""
        entity = self.catalog.table(table).entity
        assert entity is not None  # a served table has one
        return entity.name


@dataclass(frozen=True)
class _Question:
    """What is asked: of which service, how, of which versions, for which rows."""

    plan: ServicePlan
    mode: Mode
    used: tuple[_Used, ...]
    entities: pa.Table

    def sql(self, connection: duckdb.DuckDBPyConnection, platform: _Platform) -> str:
        """The query, with all that it reads registered with the connection."""
        numbered = self.entities.append_column(ROW, pa.array(np.arange(self.entities.num_rows)))
        connection.register("entities", numbered)
        views = []
        for view, used in zip(self.plan.views, self.used, strict=True):
            relation = _relation(connection, platform, view, used, self.mode, self._days(view))
            views.append(Rows(view.name, view.join_key, view.features, relation, view.ttl))
        return joined("from entities", views, self.mode)

    def _days(self, view: ViewPlan) -> tuple[date, date]:
        """The first and the last day whose rows may be asked for: a day's rows are valid from its end on."""
        moments = self.entities.column(EVENT)
        if not len(moments) or moments.null_count == len(moments):
            return date.max, date.min
        span: Any = pc.min_max(moments).as_py()
        first = date.min if view.ttl is None else (span["min"] - timedelta(microseconds=view.ttl)).date() - _ONE_DAY
        return first, span["max"].date()

    def keep(self, platform: _Platform) -> str:
        """Write the manifest and the entity rows; the manifest's name."""
        name = f"{self.plan.service}-{datetime.now(UTC):%Y%m%dt%H%M%S}-{uuid.uuid4().hex[:6]}"
        folder = manifest_folder(platform.lake, name)
        files, inner = filesystem(f"{folder}/entities.parquet")
        files.create_dir(inner.rsplit("/", 1)[0], recursive=True)
        pq.write_table(self.entities, inner, filesystem=files)
        pins = [Pin(one.table, one.version) for one in self.used]
        pins += [Pin(f"{one.table}_history", one.history) for one in self.used if one.history is not None]
        record = {
            "name": name,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "mode": self.mode,
            "service": self.plan.service,
            "views": [asdict(view) for view in self.plan.views],
            "used": [asdict(one) for one in self.used],
            "pins": [asdict(pin) for pin in pins],
            "rows": self.entities.num_rows,
        }
        write_json(f"{folder}/manifest.json", record)
        return name

    @classmethod
    def from_json(cls, record: Mapping[str, Any], entities: pa.Table) -> _Question:
        views = tuple(
            ViewPlan(**{**v, "features": tuple(v["features"]), "kinds": tuple(v["kinds"])}) for v in record["views"]
        )
        used = tuple(_Used(**{**one, "features": tuple(one["features"])}) for one in record["used"])
        return cls(ServicePlan(record["service"], views), record["mode"], used, entities)


def _checked(entities: pa.Table | Any, plan: ServicePlan) -> pa.Table:
    """The entity rows as an Arrow table that can be asked about."""
    rows = entities if isinstance(entities, pa.Table) else pa.Table.from_pandas(entities, preserve_index=False)
    missing = [name for name in (*plan.join_keys, EVENT) if name not in rows.column_names]
    if missing:
        raise UsageError(
            f"the entities lack {', '.join(missing)}; they have {', '.join(rows.column_names)}",
            next_step=f"give the keys of service {plan.service} and the moment as columns of these names",
        )
    kind = rows.schema.field(EVENT).type
    if not pa.types.is_timestamp(kind) or kind.tz is None:
        raise UsageError(f"{EVENT} is {kind}, not a timestamp with a time zone")
    for name in plan.join_keys:
        if rows.schema.field(name).type not in (pa.string(), pa.large_string()):
            raise UsageError(f"{name} is {rows.schema.field(name).type}; keys are strings")
    taken = {name for view in plan.views for name in (f"{view.name}__{f}" for f in view.features)} | {ROW, MOMENT}
    clash = taken & set(rows.column_names)
    if clash:
        raise UsageError(f"the entities have a column {clash.pop()}, which is a feature's name")
    moments = pc.floor_temporal(rows.column(EVENT), unit="microsecond").cast(pa.timestamp("us", "UTC"))
    return rows.set_column(rows.column_names.index(EVENT), EVENT, moments)


def _used(platform: _Platform, view: ViewPlan, at_versions: Mapping[str, int]) -> _Used:
    table = platform.catalog.table(view.name)
    lake_table = platform.lake.of(table)
    snapshot = _snapshot(lake_table, at_versions.get(table.table))
    if snapshot.version is None:
        raise UsageError(f"{table.table}: no day has been promoted yet", next_step="build it first")
    if not all_exist(snapshot.files()):
        raise UsageError(
            f"{table.table}: files of version {snapshot.version} are not kept any more",
            next_step="leave the version out, or name one that a manifest pins",
        )
    history = Snapshot(lake_table.history).version
    return _Used(table.table, snapshot.version, history, fingerprint(table), view.features)


def _snapshot(table: LakeTable, version: int | None) -> Snapshot:
    try:
        return Snapshot(table, version)
    except DeltaError as error:
        raise UsageError(f"{table.name}: version {version} cannot be read: {error}") from error


def _relation(
    connection: duckdb.DuckDBPyConnection,
    platform: _Platform,
    view: ViewPlan,
    used: _Used,
    mode: Mode,
    days: tuple[date, date],
) -> str:
    """SQL of a view's rows, those that rebuilds have superseded too in known mode, without what is taken down."""
    table = platform.lake.of(platform.catalog.table(used.table))
    parts = [_rows_of(connection, Snapshot(table, used.version), view, days)]
    if mode == "known" and used.history is not None:
        parts.append(_rows_of(connection, Snapshot(table.history, used.history), view, days))
    gone = list(taken_down(platform.lake, platform.entity_of(used.table)))
    connection.register(f"gone_{view.name}", pa.table({"key": pa.array(gone, pa.string())}))
    everything = " union all ".join(parts)
    return f'select r.* from ({everything}) r anti join gone_{view.name} g on r."{view.join_key}" = g.key'


def _rows_of(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, view: ViewPlan, days: tuple[date, date]) -> str:
    """SQL of the rows of some days; columns that their files do not have are null."""
    kinds = {f["name"]: _KINDS.get(f["type"], f["type"]) for f in json.loads(snapshot.schema_json or "{}")["fields"]}
    kinds |= {SUPERSEDED_AT: "timestamptz"}
    files = snapshot.files([day for day in snapshot.files_by_day if days[0] <= day <= days[1]])
    source, there = _source(connection, files)
    wanted = (view.join_key, *view.features, EVENT_TS, COMPUTED_AT, SUPERSEDED_AT)
    types = dict(zip(view.features, (_TYPES[kind] for kind in view.kinds), strict=True)) | kinds
    columns = [f'"{n}"' if n in there else f'cast(null as {types[n]}) as "{n}"' for n in wanted]
    return f"select {', '.join(columns)} from {source}"


def _source(connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> tuple[str, set[str]]:
    """Files as a relation, and the columns it has."""
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
    source = f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"
    return source, {name for name, *_ in connection.execute(f"describe select * from {source}").fetchall()}

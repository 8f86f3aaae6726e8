"""Training sets that never leak: for each entity row the features that were true, or known, at its moment.

    from content_signals.features.training import training_set
    rows = training_set(labels, "playlist_ranker_v1", mode="known").arrow()

Two engines give the same answer: DuckDB, without a JVM, and Feast on Spark. What was used is written to a manifest.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

import duckdb
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
from pyarrow import fs

from content_signals.errors import Refused, UnknownName, UsageError
from content_signals.features import training_duckdb
from content_signals.features.asof import EVENT, Mode, own_columns
from content_signals.features.decode import exactly
from content_signals.features.on_demand import computed
from content_signals.features.question import Platform, Question, Used
from content_signals.features.service_plan import ServicePlan, service_plan
from content_signals.features.store import feature_store
from content_signals.lake.files import delete_folder, filesystem
from content_signals.lake.manifests import manifest, manifest_folder, work_folder
from content_signals.settings import Settings, load_settings

Engine = Literal["duckdb", "spark"]

_BATCH = 100_000  # rows
MEMORY = "4GB"  # of DuckDB; what does not fit goes to disk
pc: Any = pyarrow.compute


class TrainingSet:
    """The entity rows with their features. Nothing is computed until rows are asked for; then it is, each time.

    Attributes:
        name: of the manifest, which `training_set_from` takes; "" if none was kept.
    """

    def __init__(self, platform: Platform, question: Question, name: str, engine: Engine) -> None:
        self._platform, self._question, self.name, self._engine = platform, question, name, engine

    def arrow(self) -> pa.Table:
        """All of it in memory: the entities' columns, then a column view__feature for each feature."""
        with self._connected() as (connection, sql):
            if not self._question.plan.on_demand:
                return cast(pa.Table, connection.sql(sql).to_arrow_table())
            return self._batches(connection, sql).read_all()

    def pandas(self) -> Any:
        """The same in pandas, in nullable types: a whole number beside a null stays one."""
        import pandas as pd

        return self.arrow().to_pandas(types_mapper=pd.ArrowDtype)

    def spark(self, session: Any) -> Any:
        """The same as a Spark frame, of a file beside the manifest; without one, of rows that Spark itself keeps."""
        folder = manifest_folder(self._platform.lake, self.name) if self.name else work_folder(self._platform.lake)
        try:
            self._write(f"{folder}/rows.parquet", session)
            frame = session.read.parquet(f"{folder}/rows.parquet")
            return frame if self.name else frame.localCheckpoint()
        finally:
            if not self.name:
                delete_folder(folder)

    def write(self, path: str) -> None:
        """To one Parquet file, in bounded memory, however many rows there are."""
        self._write(path)

    def _write(self, path: str, session: Any = None) -> None:
        files, inner = filesystem(path if "://" in path else str(Path(path).absolute()))
        files.create_dir(inner.rsplit("/", 1)[0], recursive=True)
        part = f"{inner}.{uuid.uuid4().hex}.part"  # what was there stays until all of it is written
        try:
            with self._connected(session) as (connection, sql):
                if isinstance(files, fs.LocalFileSystem) and not self._question.plan.on_demand:
                    quoted = part.replace("'", "''")
                    connection.execute(f"copy ({sql}) to '{quoted}' (format parquet)")
                else:
                    _write_batches(self._batches(connection, sql), part, files)
            files.move(part, inner)
        except BaseException:
            with suppress(FileNotFoundError):
                files.delete_file(part)
            raise

    def _batches(self, connection: duckdb.DuckDBPyConnection, sql: str) -> pa.RecordBatchReader:
        """The answer piece by piece, with what is computed on demand."""
        reader: Any = connection.sql(sql).to_arrow_reader(_BATCH)
        plan = self._question.plan
        return computed(plan.on_demand, plan.hidden, plan.columns, reader) if plan.on_demand else reader

    @contextmanager
    def _connected(self, session: Any = None) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
        """Both engines' answers are put beside the entity rows by DuckDB: one order, one set of types."""
        with duckdb.connect(config={"memory_limit": MEMORY}) as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.register("entities", self._question.numbered())
            if self._engine == "duckdb":
                yield connection, training_duckdb.query(connection, self._platform, self._question)
                return
            from content_signals.features import training_spark  # Spark and Feast: seconds, and a JVM

            with training_spark.query(connection, self._platform, self._question, session) as sql:
                yield connection, sql


def _write_batches(reader: pa.RecordBatchReader, path: str, files: fs.FileSystem) -> None:
    """An answer that DuckDB cannot write itself to a Parquet file, batch by batch."""
    with pq.ParquetWriter(path, reader.schema, filesystem=files) as writer:
        for batch in reader:
            writer.write_batch(batch)


def training_set(
    entities: pa.Table | Any,
    service: str,
    mode: Mode = "event",
    *,
    engine: Engine = "duckdb",
    at_versions: Mapping[str, int] | None = None,
    settings: Settings | None = None,
    keep: bool = True,
) -> TrainingSet:
    """The features of a service for each entity row, as of its moment.

    Args:
        entities: an Arrow table or pandas frame with the service's key columns, strings, what its views on demand ask
            for, and `event_timestamp`, aware; other columns (labels) come along as they are. Rows out are rows in, in
            order; nulls and repetitions stay.
        mode: "event": what was true at the moment, by what the tables say now. "known": only what had been computed by
            then; it survives rebuilds and corrections, because superseded rows are kept in the tables' histories.
        engine: "duckdb": in this process, no JVM. "spark": Feast's point-in-time join, by this process's Spark, in a
            session of its own. The answer is the same.
        at_versions: table -> its Delta version; default: the version it has now.
        keep: write a manifest, from which the same set can be made later, and which keeps its files from upkeep.

    Raises:
        UnknownName: a service, table, mode or engine that there is not.
        UsageError: entities without the columns they need, or versions that cannot be read.
    """
    _check_name("mode", mode, Mode)
    _check_name("engine", engine, Engine)
    platform = Platform.of(settings or load_settings())
    plan = service_plan(feature_store(platform.settings), service)
    rows = _checked(entities, plan)
    used = _used(platform, plan, at_versions or {})
    question = Question.of(platform, plan, mode, used, rows)
    if not keep:
        return TrainingSet(platform, question, "", engine)
    # Made of what the manifest has, as a replay is: a column of seconds is one of milliseconds in a file.
    name = question.keep(platform)
    return TrainingSet(platform, Question.kept(platform, manifest(platform.lake, name)), name, engine)


def training_set_from(name: str, settings: Settings | None = None, *, engine: Engine = "duckdb") -> TrainingSet:
    """The training set of a manifest again, byte for byte, by either engine.

    Raises:
        UnknownName: there is no such manifest, or it was released.
        Refused: something in it was taken down since.
    """
    _check_name("engine", engine, Engine)
    platform = Platform.of(settings or load_settings())
    question = Question.kept(platform, manifest(platform.lake, name))
    for view in question.plan.views:
        found = question.taken_down(platform, view)
        if found:
            entity, entry = question.entity_of(view.view), question.takedowns(platform, view.view)[found[0]]
            raise Refused(
                f"manifest {name}: {len(found)} of its keys were taken down since, e.g. {entity} {found[0]}:"
                f" {entry.reason} ({entry.who}, {entry.at:%Y-%m-%d})",
                state="the manifest stays; nothing was read",
                next_step="make the training set anew without these rows",
            )
    return TrainingSet(platform, question, name, engine)


def _check_name(kind: str, given: str, known: Any) -> None:
    """A typing error must not become another question."""
    if given not in get_args(known):
        raise UnknownName(kind, given, get_args(known))


def _used(platform: Platform, plan: ServicePlan, at_versions: Mapping[str, int]) -> tuple[Used, ...]:
    """The table of each view; one that several views read is the same for all of them."""
    tables = {view.view: view for view in plan.views}
    for table in at_versions:
        if table not in tables:
            raise UnknownName(f"table of service {plan.service}", table, tables)
    found = {table: Used.of(platform, view, at_versions.get(table)) for table, view in tables.items()}
    return tuple(replace(found[view.view], features=view.features) for view in plan.views)


def _checked(entities: pa.Table | Any, plan: ServicePlan) -> pa.Table:
    """The entity rows as an Arrow table that can be asked about."""
    rows = entities if isinstance(entities, pa.Table) else pa.Table.from_pandas(entities, preserve_index=False)
    missing = [name for name in (*plan.columns, *plan.request, EVENT) if name not in rows.column_names]
    if missing:
        raise UsageError(
            f"the entities lack {', '.join(missing)}; they have {', '.join(rows.column_names)}",
            next_step=f"give the keys of service {plan.service}, what its views on demand ask for, and the moment as"
            " columns of these names",
        )
    kind = rows.schema.field(EVENT).type
    if not pa.types.is_timestamp(kind) or kind.tz is None:
        raise UsageError(f"{EVENT} is {kind}, not a timestamp with a time zone")
    for name in plan.columns:
        if rows.schema.field(name).type not in (pa.string(), pa.large_string()):
            raise UsageError(f"{name} is {rows.schema.field(name).type}; keys are strings")
    for name, kind in plan.request.items():
        try:
            exactly(rows.column(name), kind)
        except (pa.ArrowException, ValueError) as error:
            raise UsageError(f"{name}, which is asked for on demand, does not fit: {error}") from None
    taken = own_columns(len(plan.views)) | {name.replace(":", "__") for name in (*plan.names, *plan.hidden)}
    clash = [name for name in rows.column_names if name.lower() in {one.lower() for one in taken}]
    if clash:
        raise UsageError(f"the entities have a column {clash[0]}, which is a feature's name, or one that is used here")
    lower = Counter(name.lower() for name in rows.column_names)
    if alike := [name for name in rows.column_names if lower[name.lower()] > 1]:
        raise UsageError(
            f"the entities have the columns {' and '.join(alike)}, which SQL does not tell apart",
            next_step="call one of them otherwise",
        )
    moments = pc.floor_temporal(rows.column(EVENT), unit="microsecond").cast(pa.timestamp("us", "UTC"))
    return rows.set_column(rows.column_names.index(EVENT), EVENT, moments)

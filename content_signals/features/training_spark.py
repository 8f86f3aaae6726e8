"""Training sets by Feast on Spark: its point-in-time join, over pinned versions, in a Spark session of its own.

Feast is asked for what it knows, which row of a view was the last at a moment; `timeline` says what the rows are.
The answers come back by row number, in Parquet, so that no row and no digit passes through pandas.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, RepoConfig, ValueType
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
from feast.types import Int64, String, from_value_type
from pyspark.errors import PySparkRuntimeError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from content_signals.contract import COMPUTED_AT, EVENT_TS
from content_signals.errors import Temporary
from content_signals.features.asof import EVENT, MOMENT, ROW, Mode
from content_signals.features.question import Platform, Question, Used
from content_signals.features.quiet import quiet_feast
from content_signals.features.service_plan import FOREVER, ServicePlan, ViewPlan
from content_signals.features.timeline import CREATED, SINCE, VALID, moment, timeline
from content_signals.features.training_duckdb import source
from content_signals.lake.files import delete_folder, filesystem, list_folder
from content_signals.lake.history import SUPERSEDED_AT
from content_signals.lake.manifests import work_folder
from content_signals.lake.read import read_days, with_columns
from content_signals.lake.session import INVARIANTS, spark_session

quiet_feast()

# By the numbers of feast.types.ValueType, of features that no table has yet.
_TYPES = {1: "binary", 2: "string", 3: "int", 4: "bigint", 5: "double", 6: "float", 7: "boolean", 8: "timestamp"}
_TYPES |= {number + 10: f"array<{kind}>" for number, kind in _TYPES.items()}
_ONE_SECOND = timedelta(seconds=1)
_NO_ROW = -1
_TURN = threading.Lock()
pc: Any = pyarrow.compute


@contextmanager
def query(
    connection: duckdb.DuckDBPyConnection, platform: Platform, question: Question, session: SparkSession | None = None
) -> Iterator[str]:
    """SQL of the answer, of a connection that has the numbered rows as `entities`; good for as long as the block lasts.

    Args:
        session: whose Spark to use; default: this process's, which is started if there is none.
    """
    if not question.plan.views:  # all of it is made of the rows themselves
        yield f"select * exclude ({ROW}) from entities order by {ROW}"  # noqa: S608
        return
    folder = work_folder(platform.lake)
    try:
        own, asked = _own_session(session), _write_rows(question, f"{folder}/rows.parquet")
        with _active(own):
            _answers(own, platform, question, folder).write.parquet(f"{folder}/answers")
        names = [info.base_name for info in list_folder(f"{folder}/answers")]
        files = [f"{folder}/answers/{name}" for name in names if name.endswith(".parquet")]
        relation, _ = source(connection, files)
        answered = connection.execute(f"select count(*) from {relation}").fetchall()  # noqa: S608
        assert answered == [(asked,)], f"Feast answered {answered} of {asked} rows"
        columns = ", ".join(f'a."{name}"' for name in _names(question.plan))
        yield (
            f"select e.* exclude ({ROW}), {columns} from entities e left join {relation} a"  # noqa: S608
            f" on e.{ROW} = a.{ROW} order by e.{ROW}"
        )
    finally:
        delete_folder(folder)


def _own_session(session: SparkSession | None) -> SparkSession:
    """A session with settings and temporary views of its own: Feast's stay there, and nobody's come in."""
    if session is None:
        try:
            session = SparkSession.active()
        except PySparkRuntimeError:
            session = spark_session("training")
    own = session.newSession()
    for name, value in INVARIANTS.items():
        own.conf.set(name, value)
    return own


@contextmanager
def _active(session: SparkSession) -> Iterator[None]:
    """The session as the active one, which is the one that Feast takes. PySpark has one for all threads: by turns."""
    with _TURN:
        before = SparkSession.active()
        _make_active(session)
        try:
            yield
        finally:
            _make_active(before)


def _make_active(session: SparkSession) -> None:
    session.createDataFrame([], "nothing int")  # PySpark has no other call for it


def _write_rows(question: Question, path: str) -> int:
    """Number, keys and moment in microseconds of the rows that have a moment, to a Parquet file. How many.

    There is always one, of no key: of none at all Feast cannot tell the first and the last moment.
    """
    keys = question.plan.columns
    rows = question.numbered().select([ROW, *keys, EVENT])
    rows = rows.filter(pc.is_valid(rows.column(EVENT)))
    moments = rows.column(EVENT).cast(pa.int64())
    columns = [rows.column(ROW), *(rows.column(key).cast(pa.string()) for key in keys), moments]
    asked = pa.Table.from_arrays(columns, [ROW, *_key_columns(question.plan).values(), MOMENT])
    if not asked.num_rows:
        asked = pa.Table.from_pylist([{ROW: _NO_ROW, MOMENT: 0}], asked.schema)
    files, inner = filesystem(path)
    files.create_dir(inner.rsplit("/", 1)[0], recursive=True)
    pq.write_table(asked, inner, filesystem=files)
    return asked.num_rows


def _answers(session: SparkSession, platform: Platform, question: Question, folder: str) -> DataFrame:
    """Row number and features of each row, those of a view null where its value was stale."""
    entities = session.read.parquet(f"{folder}/rows.parquet").withColumn(EVENT, moment(F.col(MOMENT)))
    views = _numbered(question.plan)
    for (name, view), used in zip(views, question.used, strict=True):
        relation = _relation(session, platform, question, view, used)
        rows = timeline(relation, _key_column(question.plan, view), view.features, question.mode)
        if question.mode == "known":  # Feast reads a view three times
            rows.write.parquet(f"{folder}/{name}")
            rows = session.read.parquet(f"{folder}/{name}")
        rows.createOrReplaceTempView(name)
    refs = [f"{name}:{feature}" for name, view in views for feature in (*view.features, VALID)]
    with tempfile.TemporaryDirectory(prefix="content-signals-feast-") as registry:
        store: Any = _store(question, registry)  # its types leave out that the Spark store takes a frame
        found: DataFrame = store.get_historical_features(entities, refs, full_feature_names=True).to_spark_df()
    if found.sparkSession is not session:
        raise Temporary("Feast took the Spark session of another thread", next_step="make the training set again")
    columns = []
    for name, view in views:
        good = F.lit(True) if view.ttl is None else F.col(f"{name}__{VALID}") >= F.col(MOMENT) - F.lit(view.ttl)
        pairs = zip(view.features, _names_of(view), strict=True)
        columns += [F.when(good, F.col(f"{name}__{feature}")).alias(told) for feature, told in pairs]
    # Rows that are equal to the last digit in key, event time and computed_at are all the last to Feast.
    return found.dropDuplicates([ROW]).select(ROW, *columns)


def _relation(session: SparkSession, platform: Platform, question: Question, view: ViewPlan, used: Used) -> DataFrame:
    """A view's rows, those that rebuilds have superseded too in known mode, without what is taken down.

    The key is called as in the rows that Feast is given.
    """
    [key], column = view.key.join_keys, _key_column(question.plan, view)
    types = {name: _TYPES[kind] for name, kind in zip(view.features, view.kinds, strict=True)}
    wanted = [F.col(n) for n in (*view.features, EVENT_TS, COMPUTED_AT, SUPERSEDED_AT)]
    found: DataFrame | None = None
    for snapshot in used.snapshots(platform, question.mode):
        rows = read_days(session, snapshot, question.days(view, snapshot))
        rows = with_columns(rows, {**types, SUPERSEDED_AT: "timestamp"}).select(F.col(key).alias(column), *wanted)
        found = rows if found is None else found.unionByName(rows)
    assert found is not None  # the table is there, with or without a history
    gone = question.gone(platform, used.table)
    if not gone:
        return found
    keys = session.createDataFrame([(one,) for one in gone], StructType([StructField(column, StringType())]))
    return found.join(F.broadcast(keys), column, "left_anti")


def _store(question: Question, folder: str) -> FeatureStore:
    """A store that knows these views alone, over the temporary views of the same names; its registry lies in a folder.

    A value's age is measured from its event time, afterwards. Feast's time to live only spares it rows that are older:
    no row becomes the answer before its event time.
    """
    config = RepoConfig(
        project="training",
        provider="local",
        registry={"registry_type": "file", "path": f"{folder}/registry.db"},
        online_store=None,
        offline_store={"type": "spark"},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    columns = _key_columns(question.plan).values()
    entities = {column: Entity(name=column, join_keys=[column], value_type=ValueType.STRING) for column in columns}
    for entity in entities.values():
        store.registry.apply_entity(entity, store.project)
    for name, view in _numbered(question.plan):
        found = _feature_view(name, view, entities[_key_column(question.plan, view)], question.mode)
        store.registry.apply_feature_view(found, store.project)
    return store


def _numbered(plan: ServicePlan) -> list[tuple[str, ViewPlan]]:
    """The views under names of their own: Feast quotes none, and what a service calls them may be a word of SQL."""
    return [(f"view_{number}", view) for number, view in enumerate(plan.views)]


def _key_columns(plan: ServicePlan) -> dict[str, str]:
    """The columns of keys under names of their own, for the same reason."""
    return {column: f"key_{number}" for number, column in enumerate(plan.columns)}


def _key_column(plan: ServicePlan, view: ViewPlan) -> str:
    return _key_columns(plan)[view.key.columns[0]]


def _feature_view(called: str, view: ViewPlan, entity: Entity, mode: Mode) -> FeatureView:
    """A view of Feast. In known mode no two rows of a key become the answer at once: nothing has to tell them apart."""
    features = [
        Field(name=name, dtype=from_value_type(ValueType(kind)))
        for name, kind in zip(view.features, view.kinds, strict=True)
    ]
    ttl = FOREVER if view.ttl is None else -(timedelta(microseconds=-view.ttl) // _ONE_SECOND) * _ONE_SECOND
    return FeatureView(
        name=called,
        entities=[entity],
        schema=[Field(name=entity.join_key, dtype=String), *features, Field(name=VALID, dtype=Int64)],
        source=SparkSource(
            name=called,
            table=called,
            timestamp_field=SINCE,
            created_timestamp_column=CREATED if mode == "event" else None,
        ),
        ttl=ttl,
    )


def _names(plan: ServicePlan) -> list[str]:
    return [name for view in plan.views for name in _names_of(view)]


def _names_of(view: ViewPlan) -> list[str]:
    return [f"{view.name}__{feature}" for feature in view.features]

"""Contracts as Feast's objects: an entity, one view a table version, and a service of each family."""

from __future__ import annotations

from datetime import timedelta

from feast import Entity as FeastEntity
from feast import FeatureService, FeatureView, Field, ValueType
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
from feast.types import Array, Bool, FeastType, Float32, Float64, Int32, Int64, String, UnixTimestamp

from content_signals.catalog import Catalog
from content_signals.contract import COMPUTED_AT, EVENT_TS, Entity, Table
from content_signals.features.quiet import quiet_feast
from content_signals.lake.layout import Lake
from content_signals.lake.takedowns import without_taken_down

quiet_feast()  # here for plain Feast too: feature_repo/ imports this module

_TYPES: dict[str, FeastType] = {
    "string": String,
    "int": Int32,
    "bigint": Int64,
    "double": Float64,
    "boolean": Bool,
    "timestamp": UnixTimestamp,
    "array<string>": Array(String),
    "array<float>": Array(Float32),
    "array<double>": Array(Float64),
}


def feast_entities(catalog: Catalog) -> dict[str, FeastEntity]:
    """Entity of every served table, by name."""
    declared = {t.entity.name: t.entity for t in catalog.tables if t.serve and t.entity}
    return {name: _entity(entity) for name, entity in declared.items()}


def feast_views(catalog: Catalog, lake: Lake) -> dict[str, FeatureView]:
    """One view for each version of each served table, by table name."""
    entities = feast_entities(catalog)
    return {t.table: _view(t, catalog, lake, entities) for t in catalog.tables if t.serve}


def feast_services(catalog: Catalog, views: dict[str, FeatureView]) -> dict[str, FeatureService]:
    """The service of each family's own name: it follows the live version."""
    families = {t.family for t in catalog.tables if t.serve}
    return {family: _family_service(catalog.live(family), views) for family in sorted(families)}


def time_to_live(table: Table) -> timedelta:
    """How long a value is good after it became valid: until the next day's is late."""
    return timedelta(days=1) + table.fresh_within


def _entity(entity: Entity) -> FeastEntity:
    return FeastEntity(
        name=entity.name, join_keys=[entity.join_key], value_type=ValueType.STRING, description=entity.about
    )


def _view(table: Table, catalog: Catalog, lake: Lake, entities: dict[str, FeastEntity]) -> FeatureView:
    assert table.entity is not None  # a served table has one: the contract sees to it
    types = catalog.types(table)
    fields = [
        Field(name=c.name, dtype=_TYPES[types[c.name]], description=c.about, tags={"unit": c.unit} if c.unit else {})
        for c in table.columns
    ]
    return FeatureView(
        name=table.table,
        entities=[entities[table.entity.name]],
        schema=[Field(name=table.entity.join_key, dtype=String), *fields],
        source=_source(table, lake),
        ttl=time_to_live(table),
        description=table.about,
        owner=table.owner,
        tags={"family": table.family, "version": str(table.version)},
    )


def _source(table: Table, lake: Lake) -> SparkSource:
    assert table.entity is not None  # a served table has one
    columns = ", ".join((*table.keys, *table.values, EVENT_TS, COMPUTED_AT))
    rows = f"select {columns} from delta.`{lake.of(table).path}`"  # noqa: S608  names of the contract
    query = without_taken_down(lake, table.entity.name, table.keys[0], columns, rows)
    if table.part_of:  # what is not on its own list yet
        query = without_taken_down(lake, table.part_of.name, table.part_of.join_key, columns, query)
    return SparkSource(
        name=table.table,
        query=query,
        timestamp_field=EVENT_TS,
        # Without it rows of equal event time would be doubled, and a rebuilt day could not win.
        created_timestamp_column=COMPUTED_AT,
        description=table.about,
        owner=table.owner,
    )


def _family_service(live: Table, views: dict[str, FeatureView]) -> FeatureService:
    return FeatureService(
        name=live.family,
        features=[views[live.table]],
        description=f"{live.about} Follows the live version, {live.table}.",
        owner=live.owner,
        tags={"follow": "live"},
    )

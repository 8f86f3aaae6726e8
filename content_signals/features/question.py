"""What a training set asks: which service, of which versions of its tables, for which rows. Kept in a manifest."""

from __future__ import annotations

import uuid
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

import content_signals.catalog as catalog_module
from content_signals.catalog import Catalog
from content_signals.declaration import fingerprint
from content_signals.errors import UsageError
from content_signals.features.asof import EVENT, ROW, Mode
from content_signals.features.entity_key import EntityKey
from content_signals.features.on_demand import OnDemandPlan
from content_signals.features.service_plan import ServicePlan, ViewPlan
from content_signals.lake.files import all_exist, filesystem, write_json
from content_signals.lake.history import complete_history
from content_signals.lake.layout import Lake, LakeTable
from content_signals.lake.manifests import Pin, manifest_folder
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.takedowns import Takedown, taken_down
from content_signals.settings import Settings

_ONE_DAY, _BEGINNING = timedelta(days=1), datetime.min.replace(tzinfo=UTC)
pc: Any = pyarrow.compute


@dataclass(frozen=True)
class Platform:
    """Where tables, contracts and takedowns are."""

    settings: Settings
    lake: Lake
    catalog: Catalog

    @classmethod
    def of(cls, settings: Settings) -> Platform:
        """The platform of some settings."""
        return cls(settings, Lake(settings.lake), catalog_module.catalog())

    def entity_of(self, table: str) -> str:
        """Name of the entity that a table is about."""
        entity = self.catalog.table(table).entity
        assert entity is not None  # a served table has one
        return entity.name


@dataclass(frozen=True)
class Used:
    """A table as it is used.

    Attributes:
        version: of the table; history: of its history, None where it has none.
        contract: fingerprint of the table's contract.
        entity: what it is about. Kept here: a replay asks no contract.
    """

    table: str
    version: int
    history: int | None
    contract: str
    features: tuple[str, ...]
    entity: str

    @classmethod
    def of(cls, platform: Platform, view: ViewPlan, version: int | None) -> Used:
        """A view's table at a version, or at the one it has now.

        Raises:
            UsageError: there is none, or its files are not kept any more.
        """
        table = platform.catalog.table(view.view)
        lake_table = platform.lake.of(table)
        snapshot = _snapshot(lake_table, version)
        if snapshot.version is None:
            raise UsageError(f"{table.table}: no day has been promoted yet", next_step="build it first")
        complete_history(lake_table, snapshot)
        history = _history_of(lake_table, snapshot.version)
        files = [*snapshot.files(), *(Snapshot(lake_table.history, history).files() if history is not None else ())]
        if not all_exist(files):
            raise UsageError(
                f"{table.table}: files of version {snapshot.version} are not kept any more",
                next_step="leave the version out, or name one that a manifest pins",
            )
        return cls(
            table.table, snapshot.version, history, fingerprint(table), view.features, platform.entity_of(table.table)
        )

    def snapshots(self, platform: Platform, mode: Mode) -> list[Snapshot]:
        """The table as it is used, and in known mode its history."""
        table = platform.lake.signals(self.table)
        found = [Snapshot(table, self.version)]
        if mode == "known" and self.history is not None:
            found.append(Snapshot(table.history, self.history))
        return found


@dataclass(frozen=True)
class Question:
    """What is asked: of which service, how, of which versions, for which rows.

    Attributes:
        left_out: table -> those of the rows' keys that were taken down when this was asked first.
    """

    plan: ServicePlan
    mode: Mode
    used: tuple[Used, ...]
    entities: pa.Table
    left_out: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(
        cls, platform: Platform, plan: ServicePlan, mode: Mode, used: tuple[Used, ...], entities: pa.Table
    ) -> Question:
        """What is asked now, without what is taken down now."""
        asked = cls(plan, mode, used, entities, {})
        left_out: dict[str, set[str]] = {view.view: set() for view in plan.views}
        for view in plan.views:  # one table may be asked by several columns
            left_out[view.view].update(asked.taken_down(platform, view))
        return replace(asked, left_out={table: tuple(sorted(keys)) for table, keys in left_out.items()})

    def taken_down(self, platform: Platform, view: ViewPlan) -> list[str]:
        """Those of the rows' keys that are taken down by now, and were not left out from the first."""
        gone = pa.array([*self.takedowns(platform, view.view)], pa.string())
        column = self.entities.column(view.key.columns[0]).cast(pa.string())
        found = pc.unique(column.filter(pc.is_in(column, gone))).to_pylist()
        return sorted(set(found) - set(self.left_out.get(view.view, ())))

    def gone(self, platform: Platform, table: str) -> list[str]:
        """The keys of which nobody may read anything: by what is taken down now, and was at first."""
        return sorted({*self.takedowns(platform, table), *self.left_out.get(table, ())})

    def takedowns(self, platform: Platform, table: str) -> dict[str, Takedown]:
        """What is taken down of a table's entity, by key."""
        return taken_down(platform.lake, self.entity_of(table))

    def entity_of(self, table: str) -> str:
        """Name of the entity that one of the tables is about."""
        return next(one.entity for one in self.used if one.table == table)

    def numbered(self) -> pa.Table:
        """The entity rows, each with its number, `_row`."""
        return self.entities.append_column(ROW, pa.array(np.arange(self.entities.num_rows)))

    def days(self, view: ViewPlan, snapshot: Snapshot) -> list[date]:
        """The days of a snapshot whose rows may be asked for: a day's rows are valid from its end on."""
        moments = self.entities.column(EVENT)
        if not len(moments) or moments.null_count == len(moments):
            return []
        span: Any = pc.min_max(moments).as_py()
        reach = timedelta.max if view.ttl is None else timedelta(microseconds=view.ttl) + _ONE_DAY
        first = date.min if span["min"] - _BEGINNING <= reach else (span["min"] - reach).date()
        return [day for day in snapshot.files_by_day if first <= day <= span["max"].date()]

    def keep(self, platform: Platform) -> str:
        """Write the manifest and the entity rows; the manifest's name."""
        name = f"{self.plan.service}-{datetime.now(UTC):%Y%m%dt%H%M%S}-{uuid.uuid4().hex[:6]}"
        folder = manifest_folder(platform.lake, name)
        files, inner = filesystem(f"{folder}/entities.parquet")
        files.create_dir(inner.rsplit("/", 1)[0], recursive=True)
        pq.write_table(self.entities, inner, filesystem=files)
        used = {one.table: one for one in self.used}.values()
        pins = [Pin(one.table, one.version) for one in used]
        pins += [Pin(f"{one.table}_history", one.history) for one in used if one.history is not None]
        record = {
            "name": name,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "mode": self.mode,
            "service": self.plan.service,
            "views": [asdict(view) for view in self.plan.views],
            "on_demand": [{**asdict(one), "spec": b64encode(one.spec).decode()} for one in self.plan.on_demand],
            "hidden": sorted(self.plan.hidden),
            "used": [asdict(one) for one in self.used],
            "pins": [asdict(pin) for pin in pins],
            "left_out": {table: list(keys) for table, keys in self.left_out.items()},
            "rows": self.entities.num_rows,
        }
        write_json(f"{folder}/manifest.json", record)
        return name

    @classmethod
    def kept(cls, platform: Platform, record: Mapping[str, Any]) -> Question:
        """The question of a manifest."""
        files, inner = filesystem(f"{manifest_folder(platform.lake, record['name'])}/entities.parquet")
        views = tuple(_view(one) for one in record["views"])
        used = tuple(Used(**{**_entity(platform, one), "features": tuple(one["features"])}) for one in record["used"])
        entities = pq.read_table(inner, filesystem=files)
        left_out = {table: tuple(keys) for table, keys in record.get("left_out", {}).items()}
        on_demand = tuple(_on_demand(one) for one in record.get("on_demand", ()))
        plan = ServicePlan(record["service"], views, on_demand, frozenset(record.get("hidden", ())))
        return cls(plan, record["mode"], used, entities, left_out)


def _view(record: Mapping[str, Any]) -> ViewPlan:
    """A view as a manifest has it; those of before views could be renamed have one text for a key."""
    kept = {"view": record["name"], **record, "features": tuple(record["features"]), "kinds": tuple(record["kinds"])}
    join_key = kept.pop("join_key", "")
    key = {name: tuple(parts) for name, parts in kept.pop("key", {}).items()}
    return ViewPlan(**kept, key=EntityKey(**key) if key else EntityKey.text(join_key))


def _on_demand(record: Mapping[str, Any]) -> OnDemandPlan:
    """A view on demand as a manifest has it, its function included: a replay computes what was computed."""
    parts = {name: tuple(record[name]) for name in ("features", "kinds", "inputs")}
    request = tuple((column, kind) for column, kind in record["request"])
    return OnDemandPlan(**{**record, **parts, "request": request, "spec": b64decode(record["spec"])})


def _entity(platform: Platform, used: Mapping[str, Any]) -> dict[str, Any]:
    """A table as a manifest has it; those of before its entity was kept ask the contract."""
    return {"entity": used.get("entity") or platform.entity_of(used["table"]), **used}


def _history_of(table: LakeTable, version: int) -> int | None:
    """The version of the history that goes with one of the table: rows superseded since are in the table there.

    A day's superseded rows are appended after the commit that replaces it, and before the next one.
    """
    newest = Snapshot(table.history).version
    if newest is None or version == Snapshot(table).version:
        return newest
    replaced = {entry["version"]: entry["timestamp"] for entry in DeltaTable(table.path).history()}[version + 1]
    kept = [e["version"] for e in DeltaTable(table.history.path).history() if e["timestamp"] < replaced]
    return max(kept, default=None)


def _snapshot(table: LakeTable, version: int | None) -> Snapshot:
    try:
        return Snapshot(table, version)
    except DeltaError as error:
        raise UsageError(f"{table.name}: version {version} cannot be read: {error}") from error

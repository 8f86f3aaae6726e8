"""Why a feature has the value it has: what was published, from what, how it was judged; and what was served before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from content_signals.contract import COMPUTED_AT, DAY, EVENT_TS, RUN_ID, Table
from content_signals.errors import NotLanded, UnknownName
from content_signals.features import encode
from content_signals.features.decode import KINDS, aware, moment, values_of
from content_signals.features.live import live_tables
from content_signals.features.online import View
from content_signals.features.registry import registry_answers
from content_signals.features.row_version import GONE, LIVING, TAKEN_DOWN, state_of
from content_signals.features.store import feature_store, online_client, other_store, store_answers
from content_signals.lake.receipts import Receipt, receipts_of
from content_signals.lake.scan import rows_where
from content_signals.lake.takedowns import TAKEN_DOWN as WAS_TAKEN_DOWN
from content_signals.lake.takedowns import entries_of
from content_signals.pipeline.context import Context
from content_signals.pipeline.takedown import tables_of, view_of

_STATES = {LIVING: "present", GONE: "missing: the key has left the table", TAKEN_DOWN: "taken down"}
_NOT_KEPT = "not known: the files of this version are not kept any more"


@dataclass(frozen=True)
class Published:
    """What one publication served of the feature.

    Attributes:
        row: the key's row in the table then; None: it had none.
        kept: whether the files of that version are still there.
        aside: the key's row was in quarantine: what was served before was served on.
    """

    receipt: Receipt
    row: dict[str, Any] | None = None
    kept: bool = True
    file: str = ""
    aside: bool = False

    def value(self, feature: str) -> Any:
        """The feature's value."""
        if not self.kept:
            return _NOT_KEPT
        return self.row.get(feature) if self.row else None

    def has_row_of(self, other: Published) -> bool:
        """Whether both served the same row: the later one had nothing to send."""
        if self.row is None or other.row is None:
            return False
        return all(self.row[name] == other.row[name] for name in (EVENT_TS, COMPUTED_AT))


def explain(context: Context, entity: str, key: str, feature: str, at: datetime) -> dict[str, Any]:
    """What was served of a feature at a moment, why, and what was served before that was another value.

    Raises:
        UnknownName: an entity, or a feature of its tables, that there is not.
        NotLanded: nothing was published by then.
    """
    table, name = _feature(context, tables_of(context, entity), feature)
    receipts = [r for r in receipts_of(context.lake.receipts(table)) if r.published_at <= at]
    if not receipts:
        raise NotLanded(
            f"{table.table}: nothing was published until {at:%Y-%m-%d %H:%M:%S} UTC",
            next_step=f"publish_features --table {table.table} --day D",
        )
    told: dict[str, Any] = {"feature": f"{table.table}:{name}", entity: key, "at": at.isoformat(timespec="seconds")}
    if at >= context.run.now:
        told["online now"] = _online(view_of(context, table), context, key, name)
    down = _taken_down(context, entity, key, at)
    if down:
        told["taken down"] = down
    served, before, aside = _served(context, table, key, name, receipts)
    if aside:
        told["set aside"] = f"its rows of {', '.join(aside)} are in quarantine: what was served before was served on"
    hidden = "not shown: it is taken down" if down else None
    told |= {"published": _told(served, name, hidden)}
    told |= {"before": _told(before, name, hidden) if before else "nothing else"}
    if before:
        told["inputs that differ"] = differing(before.receipt.inputs, served.receipt.inputs)
    return told


def _served(
    context: Context, table: Table, key: str, name: str, receipts: list[Receipt]
) -> tuple[Published, Published | None, list[str]]:
    """The publication that has sent what is served, the last one before it with another value, and days set aside."""
    found = _published(context, table, key, receipts)
    aside: list[str] = []
    served = next(found)
    while served.aside:
        aside.append(str(served.receipt.day))
        earlier = next(found, None)
        if earlier is None:
            break
        served = earlier
    for one in found:
        if one.aside:
            continue
        if one.has_row_of(served):
            served = one
        elif not _equal(one.value(name), served.value(name)):
            return served, one, aside
    return served, None, aside


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other) or (one != one and other != other)  # NaN is NaN


def as_rows(told: Mapping[str, Any]) -> dict[str, Any]:
    """An explanation as a person reads it: what was served and what was served before, side by side."""
    served, before = told["published"], told["before"]
    plain = {name: value for name, value in told.items() if name not in ("published", "before")}
    if not isinstance(before, Mapping):
        return plain | {"before": before, "why": [{"what": n, "served": _short(v)} for n, v in served.items()]}
    rows = [{"what": n, "served": _short(v), "served before": _short(before[n])} for n, v in served.items()]
    return plain | {"why": rows}


def _short(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    if all(isinstance(one, int) for one in value.values()):
        return "; ".join(f"{name} at {version}" for name, version in value.items())
    return "; ".join(f"{name}, {len(days)} days until {max(days)}" for name, days in value.items() if days)


def differing(before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Input -> the days by which what two publications were made from differs, in words.

    Args:
        before: input -> day -> digest of what the day was made from; now: the same of the later publication.
    """
    found = {}
    for name in sorted({*before, *now}):
        was, became = before.get(name, {}), now.get(name, {})
        days = {
            "new": [day for day in became if day not in was],
            "made anew": [day for day in became if day in was and became[day] != was[day]],
            "left": [day for day in was if day not in became],
        }
        told = [f"{how} {_span(sorted(some))}" for how, some in days.items() if some]
        if told:
            found[name] = " and ".join(told)
    return found


def _span(days: list[str]) -> str:
    return days[0] if len(days) == 1 else f"{days[0]} … {days[-1]} ({len(days)} days)"


def _feature(context: Context, tables: list[Table], feature: str) -> tuple[Table, str]:
    """The table and the name of a feature, given as table:name or as a name that one table's live version has."""
    names = {f"{table.table}:{name}": (table, name) for table in tables for name in table.values}
    if feature in names:
        return names[feature]
    found = [full for full in names if full.split(":")[1] == feature]
    if len(found) > 1:
        with registry_answers():
            live = live_tables(feature_store(context.settings).list_feature_services(), context.catalog).values()
        found = [full for full in found if names[full][0] in live] or found
    if len(found) != 1:
        raise UnknownName("feature", feature, found or names)
    return names[found[0]]


def _published(context: Context, table: Table, key: str, receipts: list[Receipt]) -> Iterator[Published]:
    """What each publication served of the key, the newest first."""
    for receipt in reversed(receipts):
        try:
            row, file = _row(DeltaTable(context.lake.of(table).path, receipt.version), receipt.day, table.keys[0], key)
        except (DeltaError, OSError):
            yield Published(receipt, kept=False)
        else:
            aside = row is None and _was_set_aside(context, table, receipt, key)
            yield Published(receipt, row, file=file, aside=aside)


def _was_set_aside(context: Context, table: Table, receipt: Receipt, key: str) -> bool:
    """Whether the key's row of the day stood in quarantine when it was published, as far as that is kept."""
    try:
        quarantine = DeltaTable(context.lake.quarantine(table).path)
        quarantine.load_as_version(receipt.published_at)
        return _row(quarantine, receipt.day, table.keys[0], key)[0] is not None
    except (DeltaError, OSError):
        return False


def _row(table: DeltaTable, day: date, key_column: str, key: str) -> tuple[dict[str, Any] | None, str]:
    """The key's row of a day, as the table was, and the file it lay in."""
    data: Any = table.to_pyarrow_dataset(file_pruning_predicate=[(DAY, "=", str(day))])
    wanted = (ds.field(DAY) == day) & (ds.field(key_column) == key)
    for path, rows in rows_where(data, data.schema.names, (), wanted):
        return rows.to_pylist()[0], path
    return None, ""


def _told(published: Published, feature: str, hidden: str | None) -> dict[str, Any]:
    receipt, row = published.receipt, published.row
    return {
        "value": hidden or published.value(feature),
        "day": str(receipt.day),
        "valid from": row[EVENT_TS].isoformat() if row else None,
        "known from": row[COMPUTED_AT].isoformat() if row else None,
        "made by run": row[RUN_ID] if row else receipt.run_id,
        "file": published.file or None,
        "table version": receipt.version,
        "made from": {name: dict(days) for name, days in receipt.inputs.items()},
        "input versions": dict(receipt.read_at) or None,
        "verdict": receipt.verdict,
        "published": receipt.published_at.isoformat(timespec="seconds"),
        "published by": f"{receipt.who}, run {receipt.published_by}, through {receipt.engine}",
    }


def _online(view: View, context: Context, key: str, feature: str) -> dict[str, Any]:
    """What the store has of the feature at this moment."""
    if reason := other_store():
        with registry_answers(), store_answers():
            store, asked = feature_store(context.settings), f"{view.name}:{feature}"
            [value] = store.get_online_features([asked], [{view.join_key: key}]).to_dict()[feature]
        return {"value": value, "status": f"as Feast serves it: {reason}"}
    [name] = encode.entity_keys(pa.array([key]), view.join_key, view.project).to_pylist()
    with store_answers(), online_client(context.settings) as client:
        fields = [view.time_field, view.version_field, encode.field_name(view.name, feature)]
        since, version, cell = client.hmget(name, fields)
    if since is None:
        return {"status": "missing"}
    kind = KINDS[context.catalog.types(context.catalog.table(view.name))[feature]]
    return {
        "value": values_of(kind, [cell]).python()[0],
        "status": _STATES[state_of(since, version)],
        "valid from": aware(moment(since)).isoformat(),
    }


def _taken_down(context: Context, entity: str, key: str, at: datetime) -> dict[str, str] | None:
    entries = [entry for entry in entries_of(context.lake, entity) if entry.key == key and entry.at <= at]
    if not entries or entries[-1].action != WAS_TAKEN_DOWN:
        return None
    last = entries[-1]
    told = {"reason": last.reason, "by": last.who, "at": last.at.isoformat(timespec="seconds")}
    return told | ({"as a part of": last.because_of} if last.because_of else {})

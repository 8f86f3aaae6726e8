"""A store that only Feast can write: publications go through its API, and what is taken down is not served there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from content_signals.errors import UsageError
from content_signals.features import store as feast_store
from content_signals.features.client import FeatureClient
from content_signals.features.decode import ARROW, KINDS
from content_signals.features.fallback import publish_files
from content_signals.features.store import feature_store
from content_signals.lake.layout import start_run
from content_signals.lake.snapshot import Snapshot
from content_signals.pipeline.check_online import check_online
from content_signals.pipeline.context import Context
from content_signals.pipeline.publish import publish
from content_signals.pipeline.takedown import give_back, take_down
from tests.faults.good_days import TITLE, good_rows
from tests.lake import promoted
from tests.stores import point_feast, store_and_lake

DAY, MIDNIGHT = date(2020, 3, 1), datetime(2020, 3, 2, tzinfo=UTC)
KEYS = ["track00000", "track00001", "track00002"]
LISTS = "track_neighbours_v1"
FEATURE = f"{TITLE}:title_length_chars"


@pytest.fixture
def platform(monkeypatch, tmp_path) -> Iterator[Context]:
    """Feast on SQLite; the Valkey of the settings has leases and records."""
    point_feast(monkeypatch, tmp_path, type="sqlite", path=f"{tmp_path}/online.db")
    with store_and_lake("other") as context:
        said: list[str] = []
        made = replace(context, say=said.append)
        object.__setattr__(made, "said", said)
        yield made


def served(context: Context) -> list[int | None]:
    rows = [{"track_id": key} for key in KEYS]
    return feature_store(context.settings).get_online_features([FEATURE], rows).to_dict()["title_length_chars"]


def test_another_kind_of_store_is_written_through_feast(platform, spark):
    table, rows = platform.catalog.table(TITLE), good_rows(TITLE, DAY, len(KEYS))
    promoted(platform.lake.of(table), DAY, rows, run_id="run-00001", fence=1)
    counts = publish(replace(platform, run=start_run()), spark, table, [DAY]).details
    assert (counts["read"], counts["written"], counts["stale"]) == (3, 3, 0)
    assert any("through Feast's own API, slower: the online store is of type sqlite" in line for line in platform.said)
    values = rows.column("title_length_chars").to_pylist()
    assert served(platform) == values
    take_down(replace(platform, run=start_run()), "track", KEYS[1], "the label asked for it", "legal")
    assert served(platform) == [values[0], None, values[2]]
    publish(replace(platform, run=start_run()), spark, table, [DAY], full=True)
    assert served(platform) == [values[0], None, values[2]]
    give_back(replace(platform, run=start_run()), "track", KEYS[1], "the label asked for it", "legal")
    assert served(platform) == values


def test_what_reads_the_stores_own_bytes_refuses_it(platform, spark):
    with pytest.raises(UsageError, match="FeatureClient reads one Redis or Valkey; the online store is of type sqlite"):
        FeatureClient("track_title", platform.settings)
    with pytest.raises(UsageError, match="check_online reads one Redis or Valkey"):
        check_online(platform, spark, platform.catalog.table(TITLE))


@pytest.mark.parametrize(("kind", "reason"), [("redis_cluster", "of redis_type redis_cluster"), ("redis", "")])
def test_a_cluster_is_none_of_ours(monkeypatch, tmp_path, kind, reason):
    (tmp_path / "feature_store.yaml").write_text(f"online_store:\n  type: redis\n  redis_type: {kind}\n")
    monkeypatch.setattr(feast_store, "REPO", tmp_path)
    assert feast_store.other_store() == (f"the online store is {reason}" if reason else "")


VALUES = {pa.string(): "x", pa.int32(): 7, pa.int64(): 7, pa.float64(): 0.5, pa.float32(): 0.5, pa.bool_(): True}


def test_lists_are_compared_when_they_are_read_back(platform, spark):
    table = platform.catalog.table(LISTS)
    lake_table = platform.lake.of(table)
    stamps = {"event_ts": MIDNIGHT, "computed_at": MIDNIGHT, "run_id": "run"}
    schema = pa.schema([pa.field(name, ARROW[KINDS[kind]]) for name, kind in platform.catalog.types(table).items()])
    lists = {field.name for field in schema if pa.types.is_list(field.type)}
    assert lists
    rows = [
        {f.name: [VALUES[f.type.value_type]] * 2 if f.name in lists else VALUES[f.type] for f in schema}
        | {"track_id": key}
        for key in KEYS[:2]
    ]
    rows[1] |= dict.fromkeys(lists)
    for name, value in stamps.items():
        schema = schema.append(pa.field(name, pa.string() if name == "run_id" else pa.timestamp("us", "UTC")))
        rows = [{**row, name: value} for row in rows]
    promoted(lake_table, DAY, pa.Table.from_pylist(rows, schema), run_id="run-00001", fence=1)
    counts = publish(replace(platform, run=start_run()), spark, table, [DAY]).details
    assert (counts["read"], counts["written"], counts["stale"]) == (2, 2, 0)
    changed = [{**rows[0], **{name: rows[0][name] * 2 for name in lists}}, rows[1]]
    promoted(lake_table, DAY, pa.Table.from_pylist(changed, schema), run_id="run-00002", fence=2)
    store = feature_store(platform.settings)
    store.write_to_online_store = lambda *_: None  # a store that takes nothing
    written = publish_files(store, table, Snapshot(lake_table).files([DAY]))
    assert (written.sent, written.not_taken, written.sample_not_taken) == (2, 1, (KEYS[0],))

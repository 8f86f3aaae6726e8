"""A model trains on a service that pins its versions; the family is flipped; it trains and is served as before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from content_signals.catalog import Catalog, catalog
from content_signals.features.client import FeatureClient
from content_signals.features.online import Writer
from content_signals.features.registry import register
from content_signals.features.served import Marker, Promoted, Served
from content_signals.features.store import feature_store, online_client
from content_signals.features.training import training_set, training_set_from
from content_signals.lake.layout import Lake, start_run
from content_signals.pipeline.context import Context
from content_signals.pipeline.flip import flip_family
from content_signals.pipeline.takedown import view_of
from tests.faults.good_days import FIRST, POPULARITY, TITLE, good_rows
from tests.lake import promoted
from tests.settings import settings_in

MODEL, FAMILY, NEW = "playlist_ranker_v1", "track_title", "track_title_v2"
KEYS = [f"track{n:05}" for n in range(20)]
SINCE = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC) + timedelta(days=1)
AT = SINCE + timedelta(hours=6)


@pytest.fixture
def platform(store, store_settings, monkeypatch, tmp_path) -> Context:
    """A day of both families in the lake and online; of the titles a second version too, which says otherwise."""
    changes = {"online_store": store_settings.online_store, "var": store_settings.var}
    settings = settings_in(tmp_path).model_copy(update=changes)
    known = catalog.__wrapped__()
    both = Catalog([*known.sources, *known.tables, replace(known.table(TITLE), version=2)])
    register(feature_store(settings), settings)  # while there was one version
    monkeypatch.setattr("content_signals.catalog.catalog", lambda: both)
    context = Context(settings, Lake(settings.lake), both, start_run(), lambda _: None)
    for name, rows in (
        (POPULARITY, good_rows(POPULARITY, FIRST, len(KEYS))),
        (TITLE, good_rows(TITLE, FIRST, len(KEYS))),
        (NEW, good_rows(TITLE, FIRST + timedelta(days=1), len(KEYS))),
    ):
        put(context, name, rows)
    register(feature_store(settings), settings)
    return context


def put(context: Context, name: str, rows: pa.Table) -> None:
    """The rows as the table's first day, promoted and published."""
    stamps = {"event_ts": [SINCE] * len(KEYS), "computed_at": [SINCE] * len(KEYS)}
    for column, values in stamps.items():
        place = rows.schema.get_field_index(column)
        rows = rows.set_column(place, rows.schema.field(column), pa.array(values, rows.schema.field(column).type))
    table = context.catalog.table(name)
    promoted(context.lake.of(table), FIRST, rows, run_id="run-00001")
    with Writer(view_of(context, table)) as writer:
        for batch in rows.drop_columns(["run_id"]).to_batches():
            writer.write(batch)
    marker = Marker(online_client(context.settings), "content_signals", name)
    marker.begin("run", Promoted(1, str(FIRST)))
    marker.end("run", Promoted(1, str(FIRST)), "", Served())


def trained_on(context: Context, service: str) -> pa.Table:
    labels = pa.table({"track_id": KEYS, "event_timestamp": pa.array([AT] * len(KEYS), pa.timestamp("us", "UTC"))})
    return training_set(labels, service, settings=context.settings, keep=False).arrow()


def served(context: Context, service: str) -> list[dict]:
    with FeatureClient(service, context.settings) as client:
        return client.get(KEYS, AT).dicts()


def test_a_flip_changes_neither_what_it_trains_on_nor_what_it_is_served(platform):
    labels = pa.table({"track_id": KEYS, "event_timestamp": pa.array([AT] * len(KEYS), pa.timestamp("us", "UTC"))})
    kept = training_set(labels, MODEL, settings=platform.settings)
    before, online = trained_on(platform, MODEL), served(platform, MODEL)
    families = trained_on(platform, FAMILY)
    ages = good_rows(TITLE, FIRST, len(KEYS))["catalogue_age_days"].to_pylist()
    assert before[f"{TITLE}__catalogue_age_days"].to_pylist() == ages
    assert [row[f"{TITLE}:catalogue_age_days"] for row in online] == ages

    flip_family(platform, FAMILY, 2, "measured better on the golden set", "titles")

    assert trained_on(platform, MODEL).equals(before)
    assert kept.arrow().equals(before)
    assert training_set_from(kept.name, platform.settings).arrow().equals(before)
    assert served(platform, MODEL) == online
    # The family's own service has moved, offline and online.
    newer = good_rows(TITLE, FIRST + timedelta(days=1), len(KEYS))["catalogue_age_days"].to_pylist()
    assert newer != ages
    assert trained_on(platform, FAMILY)[f"{NEW}__catalogue_age_days"].to_pylist() == newer
    assert [row[f"{NEW}:catalogue_age_days"] for row in served(platform, FAMILY)] == newer
    assert families[f"{TITLE}__catalogue_age_days"].to_pylist() == ages

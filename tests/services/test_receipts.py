"""Receipts of publications, beside those of before a column was kept."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, date, datetime

import pyarrow as pa
from deltalake import write_deltalake

from content_signals.lake.layout import Lake
from content_signals.lake.receipts import Receipt, append_receipt, receipts_of

RECEIPT = Receipt(
    published_at=datetime(2026, 3, 2, tzinfo=UTC),
    published_by="run-2",
    who="root",
    view="track_title_v1",
    day=date(2026, 3, 1),
    run_id="run-1",
    version=7,
    before=None,
    engine="spark",
    contract="c",
    verdict="passed",
    checksum="1-0",
    inputs={"catalogue_v1": {"2026-03-01": "2-0"}},
    read_at={"catalogue_v1": 3},
    files=("data/a.parquet",),
    read=1,
    written=1,
    stale=0,
    tombstoned=0,
    unchanged=0,
    read_back=1,
)


def test_a_receipt_comes_back_as_it_was_and_one_of_before_versions_were_noted_has_none(tmp_path):
    table = Lake(str(tmp_path)).signals("receipts")
    old = {name: value for name, value in asdict(RECEIPT).items() if name != "read_at"}
    old |= {"inputs": "{}", "files": ["data/b.parquet"], "before": 6, "published_at": datetime(2026, 3, 1, tzinfo=UTC)}
    write_deltalake(table.path, pa.Table.from_pylist([old]))
    append_receipt(table, RECEIPT)
    first, second = receipts_of(table)
    assert (first.read_at, first.inputs, first.before) == ({}, {}, 6)
    assert second == RECEIPT
    append_receipt(table, replace(RECEIPT, published_at=datetime(2026, 3, 3, tzinfo=UTC), read_at={}))
    assert receipts_of(table)[-1].read_at == {}

"""Nothing bad is served of track_title_v1: every fault is quarantined, stopped or told, as its suite says."""

from __future__ import annotations

from tests.faults.cells import check, faults_of
from tests.faults.expected import EXPECTED
from tests.faults.faults import FAULTS
from tests.faults.good_days import TABLES, TITLE


@faults_of(TITLE)
def test_nothing_bad_is_served(fault, lake_of, spark, owner, record_property):
    check(fault, TITLE, lake_of, spark, owner, record_property)


def test_every_fault_of_every_table_has_its_line():
    assert {name: set(cells) for name, cells in EXPECTED.items()} == {name: set(TABLES) for name in FAULTS}
    assert len(FAULTS) >= 15

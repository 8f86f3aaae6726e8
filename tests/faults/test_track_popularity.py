"""Nothing bad is served of track_popularity_v1: every fault is quarantined, stopped or told, as its suite says."""

from __future__ import annotations

from tests.faults.cells import check, faults_of
from tests.faults.good_days import POPULARITY


@faults_of(POPULARITY)
def test_nothing_bad_is_served(fault, lake_of, spark, owner, record_property):
    check(fault, POPULARITY, lake_of, spark, owner, record_property)

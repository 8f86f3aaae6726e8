"""What a table promises. Every column is declared here, once; tiles, features, docs and lineage come from it.

This package is data only: it imports no engine, so that Airflow, the jobs and a model's service all read the same
contracts.
"""

from content_signals.contract.column import Column, Computed, Op, Windowed
from content_signals.contract.entity import Entity
from content_signals.contract.input import Input
from content_signals.contract.source import Source
from content_signals.contract.stamps import (
    COMPUTED_AT,
    DAY,
    EVENT_TS,
    RESERVED,
    RESERVED_IN_SOURCES,
    RUN_ID,
    SHA256,
    STAMPS,
    Type,
)
from content_signals.contract.table import Table

__all__ = [
    "COMPUTED_AT",
    "DAY",
    "EVENT_TS",
    "RESERVED",
    "RESERVED_IN_SOURCES",
    "RUN_ID",
    "SHA256",
    "STAMPS",
    "Column",
    "Computed",
    "Entity",
    "Input",
    "Op",
    "Source",
    "Table",
    "Type",
    "Windowed",
]

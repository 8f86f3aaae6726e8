"""Tables that this installation cannot make, because what they need is not set: refused, or left out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TypeVar

from content_signals.catalog import Catalog
from content_signals.contract import Table
from content_signals.errors import UsageError
from content_signals.pipeline.context import Context

T = TypeVar("T")


def check_needs(known: Catalog, table: Table, environment: Mapping[str, str] = os.environ) -> None:
    """Refuse a table that was asked for by name, before any work starts.

    Raises:
        UsageError: naming the variable that is not set, and what it is for.
    """
    lacking = known.lacking(table, environment)
    if lacking:
        names = ", ".join(need.variable for need in lacking)
        raise UsageError(
            f"{table.table} cannot be made here: the environment has no {names}",
            next_step="; ".join(f"{need.variable} names {need.about}" for need in lacking),
        )


def without_lacking(
    context: Context, plan: Mapping[str, T], named: Iterable[str], environment: Mapping[str, str] = os.environ
) -> dict[str, T]:
    """A plan by table without the tables that cannot be made here; of each the reason is said.

    Args:
        named: tables that were asked for by name: of these none is left out.

    Raises:
        UsageError: one of those cannot be made here.
    """
    for name in named:
        check_needs(context.catalog, context.catalog.table(name), environment)
    made: dict[str, T] = {}
    for name, planned in plan.items():
        lacking = context.catalog.lacking(context.catalog.table(name), environment)
        if lacking:
            context.say(f"{name}: left out, the environment has no {', '.join(need.variable for need in lacking)}")
        else:
            made[name] = planned
    return made

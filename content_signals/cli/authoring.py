"""Commands of a signal author: a new family, a day tried beside the lake."""

from __future__ import annotations

from typing import Annotated

import typer

from content_signals.cli.common import Day, Json, SettingsFile, app, context_of


@app.command()
def new(
    family: str,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
    suite_only: Annotated[
        bool, typer.Option("--suite-only", help="Write the rules alone, from the contract as it is now.")
    ] = False,
    json: Json = False,
) -> None:
    """Start a family of signals: contract, compute, rules and a golden test that passes."""
    from content_signals.catalog import catalog
    from content_signals.inspection import show
    from content_signals.inspection.scaffold import write_family, write_suite

    if suite_only:
        table = catalog().table(family)
        path = write_suite(table, force=force)
        show.written([path], f"sharpen the rules, then: content-signals try {table.table} --day D", json)
        return
    paths = write_family(family, force=force)
    contract = next(path for path in paths if path.name == "contract.py")
    show.written(paths, f"declare the signals in {contract}, then: content-signals try {family}_v1 --day D", json)


@app.command(name="try")
def try_(
    table: str,
    day: Day,
    sample: Annotated[bool, typer.Option("--sample", help="A tenth of the keys.")] = False,
    json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """Build a day beside the lake: rows, verdict, difference to what is live. Nothing in the lake changes."""
    from content_signals.day import parse_day
    from content_signals.inspection import show
    from content_signals.inspection.trials import trial_record
    from content_signals.lake.session import spark_session
    from content_signals.pipeline.needs import check_needs
    from content_signals.pipeline.trial import try_day

    context = context_of(settings, say=True)
    found = context.catalog.table(table)
    check_needs(context.catalog, found)
    trial = try_day(context, spark_session(f"try {found.table}"), found, parse_day(day), sample=sample)
    show.record(trial_record(trial), json)

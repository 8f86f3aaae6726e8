"""Commands about tables: what the lake holds, how days were judged, what becomes of them."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from content_signals.cli.common import Day, Json, SettingsFile, app, context_of
from content_signals.errors import UsageError


class _Shows(TyperGroup):
    """`quarantine TABLE` is short for `quarantine show TABLE`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command named, `show` where none is."""
        return super().resolve_command(ctx, args if args[0] in self.commands else ["show", *args])


quarantine_app = typer.Typer(no_args_is_help=True, cls=_Shows, help="Rows that broke a critical rule.")
app.add_typer(quarantine_app, name="quarantine")


@app.command()
def tables(json: Json = False, settings: SettingsFile = None) -> None:
    """Every source and signal table: how many days it has, which is the last, what is served."""
    from content_signals.inspection import show
    from content_signals.inspection.tables import all_tables

    show.rows("tables", all_tables(context_of(settings)), json)


@app.command(name="show")
def show_table(table: str, json: Json = False, settings: SettingsFile = None) -> None:
    """One table: its columns, what it is made from, who owns it, which days it has."""
    from content_signals.inspection import show
    from content_signals.inspection.tables import one_table

    show.record(one_table(context_of(settings), table), json)


@app.command()
def runs(table: str, day: Day, json: Json = False, settings: SettingsFile = None) -> None:
    """What the runs of one day of a table staged, how they were judged, what became of them."""
    from content_signals.inspection import show
    from content_signals.inspection.runs import runs_of

    show.rows(f"{table} {day}", runs_of(context_of(settings), table, day), json)


@app.command()
def verdicts(
    table: str,
    day: Annotated[str | None, typer.Option("--day", help="Every run of this day; default: the last days.")] = None,
    last: Annotated[int, typer.Option(min=1, help="How many days.")] = 28,
    json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """How the days of a table were judged: which rules failed, what was observed, who let a day through."""
    from content_signals.inspection import show
    from content_signals.inspection.verdicts import verdicts as found

    show.rows(f"verdicts of {table}", found(context_of(settings), table, last, day), json, empty="nothing was judged")


@app.command()
def promote(
    table: str,
    day: Day,
    override: Annotated[bool, typer.Option("--override", help="Although the verdict stopped the day.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the commit and the verdict.")] = "",
    by: Annotated[str | None, typer.Option("--by", help="Who decided it; default: you.")] = None,
    run_id: Annotated[str | None, typer.Option("--run-id", help="Which run's stage; default: the newest.")] = None,
    settings: SettingsFile = None,
) -> None:
    """Make a judged day visible; with --override one that its verdict stopped. Rows in quarantine stay there."""
    import getpass

    from content_signals.day import parse_day
    from content_signals.pipeline.promotion import LetThrough, promote_days

    if not override and (reason or by):
        raise UsageError("--reason and --by belong to --override", next_step="add --override, or leave them out")
    context = context_of(settings, say=True)
    decision = LetThrough(by or getpass.getuser(), reason, context.run.now) if override else None
    outcome = promote_days(context, context.catalog.any(table), [parse_day(day)], run_id, decision)
    for error in outcome.failed.values():
        raise error


@quarantine_app.command(name="show")
def show_quarantine(table: str, day: Day, json: Json = False, settings: SettingsFile = None) -> None:
    """The rows set aside of a day, by the rule they break. `show` may be left out."""
    from content_signals.inspection import show
    from content_signals.inspection.quarantine import quarantined

    found = quarantined(context_of(settings), table, day)
    show.rows(f"quarantine/{table} {day}", found, json, empty="nothing is in quarantine")


@quarantine_app.command()
def release(table: str, day: Day, settings: SettingsFile = None) -> None:
    """Judge the rows again after a rule was mended, with the day they belong to; promote those that pass."""
    from content_signals.day import parse_day
    from content_signals.lake.session import spark_session
    from content_signals.pipeline.beside import import_beside

    context = context_of(settings, say=True)
    found, wanted = context.catalog.any(table), parse_day(day)  # before anything starts
    step = import_beside("content_signals.pipeline.release")
    spark = spark_session(f"release {found.table}")
    step().release(context, spark, found, wanted)


@app.command()
def stale(
    table: Annotated[list[str] | None, typer.Argument(help="Only these tables.")] = None,
    json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """Table days made from inputs that have moved since, and days that were never built, in build order."""
    from content_signals.inspection import show
    from content_signals.inspection.tables import stale_rows

    show.rows("stale", stale_rows(context_of(settings), table), json, empty="nothing is stale")

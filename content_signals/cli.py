"""The `content-signals` command: look at the lake, read features, write signals, run the platform on a laptop."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from content_signals.errors import SignalsError, UsageError


class _Shows(TyperGroup):
    """`quarantine TABLE` is short for `quarantine show TABLE`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command named, `show` where none is."""
        return super().resolve_command(ctx, args if args[0] in self.commands else ["show", *args])


app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
features_app = typer.Typer(no_args_is_help=True, help="Features, as models read them.")
app.add_typer(features_app, name="features")
quarantine_app = typer.Typer(no_args_is_help=True, cls=_Shows, help="Rows that broke a critical rule.")
app.add_typer(quarantine_app, name="quarantine")
generate_app = typer.Typer(no_args_is_help=True, help="Landing files like a platform's, with known faults in them.")
app.add_typer(generate_app, name="generate")
alert_app = typer.Typer(no_args_is_help=True, help="Alerts: try the channels; tell what no job could.")
app.add_typer(alert_app, name="alert")

Json = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]
SettingsFile = Annotated[Path | None, typer.Option("--settings", help="Settings file; default: conf/local.toml.")]
Day = Annotated[str, typer.Option("--day", help="YYYY-MM-DD")]
Reason = Annotated[str, typer.Option("--reason", help="What happened, in a sentence or a few lines.")]
TaskLog = Annotated[str | None, typer.Option("--task-log", help="URL of the task's log.")]
RunId = Annotated[str | None, typer.Option("--run-id", help="The run it happened in.")]
Folder = Annotated[Path | None, typer.Argument(help="Where to; default: the landing folder of the settings.")]
Days = Annotated[int, typer.Option(min=1, help="How many days, the last of them yesterday.")]
Seed = Annotated[int, typer.Option(help="The same seed writes the same files.")]


@app.command()
def tables(json: Json = False, settings: SettingsFile = None) -> None:
    """Every source and signal table: how many days it has, which is the last, what is served."""
    from content_signals.inspection import show
    from content_signals.inspection.tables import all_tables

    show.rows("tables", all_tables(_context(settings)), json)


@app.command(name="show")
def show_table(table: str, json: Json = False, settings: SettingsFile = None) -> None:
    """One table: its columns, what it is made from, who owns it, which days it has."""
    from content_signals.inspection import show
    from content_signals.inspection.tables import one_table

    show.record(one_table(_context(settings), table), json)


@app.command()
def runs(table: str, day: Day, json: Json = False, settings: SettingsFile = None) -> None:
    """What the runs of one day of a table staged, how they were judged, what became of them."""
    from content_signals.inspection import show
    from content_signals.inspection.runs import runs_of

    show.rows(f"{table} {day}", runs_of(_context(settings), table, day), json)


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

    show.rows(f"verdicts of {table}", found(_context(settings), table, last, day), json, empty="nothing was judged")


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
    context = _context(settings, say=True)
    decision = LetThrough(by or getpass.getuser(), reason, context.run.now) if override else None
    outcome = promote_days(context, context.catalog.table(table), [parse_day(day)], run_id, decision)
    for error in outcome.failed.values():
        raise error


@quarantine_app.command(name="show")
def show_quarantine(table: str, day: Day, json: Json = False, settings: SettingsFile = None) -> None:
    """The rows set aside of a day, by the rule they break. `show` may be left out."""
    from content_signals.inspection import show
    from content_signals.inspection.quarantine import quarantined

    found = quarantined(_context(settings), table, day)
    show.rows(f"quarantine/{table} {day}", found, json, empty="nothing is in quarantine")


@quarantine_app.command()
def release(table: str, day: Day, settings: SettingsFile = None) -> None:
    """Judge the rows again after a rule was mended, with the day they belong to; promote those that pass."""
    from content_signals.day import parse_day
    from content_signals.lake.session import spark_session
    from content_signals.pipeline.beside import import_beside

    context = _context(settings, say=True)
    found, wanted = context.catalog.table(table), parse_day(day)  # before anything starts
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

    show.rows("stale", stale_rows(_context(settings), table), json, empty="nothing is stale")


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
    from content_signals.pipeline.trial import try_day

    context = _context(settings, say=True)
    found = context.catalog.table(table)
    trial = try_day(context, spark_session(f"try {found.table}"), found, parse_day(day), sample=sample)
    show.record(trial_record(trial), json)


@features_app.command()
def get(
    service: str,
    keys: Annotated[str, typer.Option("--keys", help="Keys, separated by commas.")],
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Judge freshness at this moment (ISO 8601, UTC); default: now.")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Read the tables as of that moment through Feast's offline store.")
    ] = False,
    json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """Features of some keys: online, or with --offline from the tables as of a moment."""
    from content_signals.inspection import show
    from content_signals.inspection.features import feature_rows, values_only

    wanted = list(dict.fromkeys(key for key in keys.split(",") if key))
    if not wanted:
        raise UsageError("no key given", next_step="--keys KEY[,KEY…]")
    rows = feature_rows(_context(settings), service, wanted, _moment(as_of), offline=offline)
    show.rows(service, rows if json else values_only(rows), json)


@app.command()
def env(settings: SettingsFile = None) -> None:
    """The settings as `export` lines, for plain Feast: eval "$(content-signals env)". Prints secrets."""
    import shlex

    from content_signals.features.store import feast_environment
    from content_signals.settings import load_settings

    for name, value in feast_environment(load_settings(settings)).items():
        typer.echo(f"export {name}={shlex.quote(value)}")


@app.command()
def up(settings: SettingsFile = None) -> None:
    """Start the Airflow UI, the online store and the feature server; attach to what runs."""
    from content_signals.local import services
    from content_signals.settings import load_settings

    services.up(load_settings(settings))


@app.command()
def down(settings: SettingsFile = None) -> None:
    """Stop what `up` or `demo` started."""
    from content_signals.local import services
    from content_signals.settings import load_settings

    services.down(load_settings(settings))


@app.command()
def status(settings: SettingsFile = None) -> None:
    """What runs."""
    from content_signals.local import services
    from content_signals.settings import load_settings

    for line in services.status(load_settings(settings)):
        typer.echo(str(line))


@app.command()
def demo(
    landing: Annotated[
        Path | None, typer.Option(help="A landing folder of your own; default: generated files.")
    ] = None,
    settings: SettingsFile = None,
) -> None:
    """Thirty landed days in one run, one more through Airflow, features of three tracks at the end."""
    from content_signals.local.demo import run_demo
    from content_signals.settings import load_settings

    run_demo(load_settings(settings), landing)


@generate_app.command(name="landing")
def generate_landing_files(
    folder: Folder = None,
    days: Days = 31,
    seed: Seed = 1,
    settings: SettingsFile = None,
) -> None:
    """Playlists and their catalogue: Zipf-like, with duplicates, malformed rows and missing days."""
    from content_signals.day import days_until_yesterday
    from content_signals.local.landing import generate_landing

    home = _landing_folder(folder, settings)
    made = generate_landing(home, days=days_until_yesterday(days), seed=seed)
    missing = ", ".join(map(str, made.missing_days)) or "none"
    typer.echo(f"{home}: {len(made.days)} days, {sum(made.rows.values()):,} rows, missing: {missing}")


@generate_app.command(name="events")
def generate_event_files(
    folder: Folder = None,
    rows: Annotated[int, typer.Option(min=1, help="Valid events in all; planted rows come on top.")] = 1_000_000,
    days: Days = 28,
    seed: Seed = 1,
    file_format: Annotated[Literal["parquet", "jsonl"], typer.Option("--format")] = "parquet",
    tracks: Annotated[
        int | None, typer.Option(min=1, help="Tracks to play; default: a hundredth of the rows, at least 1000.")
    ] = None,
    even: Annotated[bool, typer.Option("--even", help="Every track as popular as any other.")] = False,
    settings: SettingsFile = None,
) -> None:
    """Plays, skips and saves: Zipf-like, one artist with a fifth of them, duplicates, late and malformed rows."""
    from content_signals.day import days_until_yesterday
    from content_signals.local.events import generate_events

    home = _landing_folder(folder, settings)
    made = generate_events(
        home, rows=rows, days=days_until_yesterday(days), seed=seed, format=file_format, tracks=tracks, even=even
    )
    planted = {"duplicate": made.duplicates, "late": made.late, "malformed": made.malformed}
    counts = ", ".join(f"{sum(count.values()):,} {name}" for name, count in planted.items())
    typer.echo(f"{home}: {len(made.rows)} days, {sum(made.rows.values()):,} rows, of them {counts}")


@alert_app.command()
def late(
    table: str, day: Day, reason: Reason, task_log: TaskLog = None, run_id: RunId = None, settings: SettingsFile = None
) -> None:
    """Tell the owner that a day is late. Exit code 0 even when no channel takes it: the log says so."""
    from content_signals.alerts.command import tell

    tell(settings, "late", table, day, reason, task_log, run_id)


@alert_app.command()
def lost(
    table: str, day: Day, reason: Reason, task_log: TaskLog = None, run_id: RunId = None, settings: SettingsFile = None
) -> None:
    """Tell the owner that a job ended without a word: killed, timed out, its worker gone. Exit codes as for `late`."""
    from content_signals.alerts.command import tell

    tell(settings, "lost", table, day, reason, task_log, run_id)


@alert_app.command(name="test")
def try_alerts(settings: SettingsFile = None) -> None:
    """Send a trial message to every channel; exit code 75 when one did not take it."""
    from content_signals.alerts.command import try_channels

    try_channels(settings)


def main() -> None:
    """Run the command; an error of ours is shown as such and gives its exit code."""
    try:
        app()
    except SignalsError as error:
        typer.echo(str(error), err=True)
        sys.exit(error.exit_code)


def _context(settings: Path | None, *, say: bool = False):  # type: ignore[no-untyped-def]
    import time

    from content_signals.catalog import catalog
    from content_signals.lake.layout import Lake, start_run
    from content_signals.pipeline.context import Context, to_stderr
    from content_signals.settings import load_settings

    found = load_settings(settings)
    return Context(
        found, Lake(found.lake), catalog(), start_run(), to_stderr(time.monotonic()) if say else lambda _: None
    )


def _landing_folder(folder: Path | None, settings: Path | None) -> Path:
    """The folder asked for, or the settings' own where generated files do no harm."""
    from content_signals.settings import load_settings

    if folder is not None:
        return folder
    landing = load_settings(settings).landing
    # `demo --landing` leaves a link to a folder of somebody's own: its files are not for us to replace.
    if "://" in landing or Path(landing).is_symlink():
        raise UsageError(
            f"{landing} is not a folder to generate files in", next_step="name a folder: generate … FOLDER"
        )
    return Path(landing)


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a moment", next_step="write 2020-07-01 or 2020-07-01T12:00:00Z") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

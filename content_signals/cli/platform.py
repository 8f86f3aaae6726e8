"""Commands that run the platform on one machine: services, the demo, generated files, alerts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from content_signals.cli.common import Day, SettingsFile, app
from content_signals.errors import UsageError

generate_app = typer.Typer(no_args_is_help=True, help="Landing files like a platform's, with known faults in them.")
app.add_typer(generate_app, name="generate")
alert_app = typer.Typer(no_args_is_help=True, help="Alerts: try the channels; tell what no job could.")
app.add_typer(alert_app, name="alert")

Reason = Annotated[str, typer.Option("--reason", help="What happened, in a sentence or a few lines.")]
TaskLog = Annotated[str | None, typer.Option("--task-log", help="URL of the task's log.")]
RunId = Annotated[str | None, typer.Option("--run-id", help="The run it happened in.")]
Folder = Annotated[Path | None, typer.Argument(help="Where to; default: the landing folder of the settings.")]
Days = Annotated[int, typer.Option(min=1, help="How many days, the last of them yesterday.")]
Seed = Annotated[int, typer.Option(help="The same seed writes the same files.")]


@app.command()
def env(settings: SettingsFile = None) -> None:
    """The settings as `export` lines, for plain Feast: eval "$(content-signals env)". Prints secrets."""
    import shlex

    from content_signals.features.store import feast_environment
    from content_signals.retrieval.documents import search_environment
    from content_signals.settings import load_settings

    found = load_settings(settings)
    for name, value in (feast_environment(found) | search_environment(found)).items():
        typer.echo(f"export {name}={shlex.quote(value)}")


@app.command()
def up(settings: SettingsFile = None) -> None:
    """Start the Airflow UI, the online store, and the feature server and UI of Feast; attach to what runs."""
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
    content: Annotated[
        bool, typer.Option("--content", help="Transcripts and sound files too, where there are some: takes longer.")
    ] = False,
    settings: SettingsFile = None,
) -> None:
    """Thirty landed days in one run, one more through Airflow, features of three tracks at the end."""
    from content_signals.local.demo import run_demo
    from content_signals.settings import load_settings

    run_demo(load_settings(settings), landing, content=content)


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

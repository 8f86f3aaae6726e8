"""Commands about training sets: made from entity rows, made again from a manifest, released."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from content_signals.cli.common import Json, SettingsFile, app, context_of
from content_signals.errors import UsageError

training_app = typer.Typer(no_args_is_help=True, help="Training sets, as of each row's own moment.")
app.add_typer(training_app, name="training")

Target = Annotated[Path, typer.Option("--to", help="The Parquet file to write.")]
By = Annotated[Literal["duckdb", "spark"], typer.Option("--engine", help="DuckDB, or Feast on Spark: the same answer.")]


@training_app.command()
def make(
    service: str,
    entities: Annotated[Path, typer.Option("--entities", help="Parquet: key columns, event_timestamp, labels.")],
    to: Target,
    mode: Annotated[Literal["event", "known"], typer.Option("--mode", help="What was true, or known, then.")] = "event",
    at: Annotated[
        list[str] | None, typer.Option("--at", help="TABLE=VERSION, a Delta version; default: now's.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep/--no-keep", help="Write a manifest.")] = True,
    engine: By = "duckdb",
    settings: SettingsFile = None,
) -> None:
    """Features of a service for each row of a Parquet file. Prints the manifest's name."""
    import pyarrow.parquet as pq

    from content_signals.features.training import training_set
    from content_signals.settings import load_settings

    if not entities.is_file():
        raise UsageError(f"there is no file {entities}", next_step="--entities FILE, a Parquet file")
    rows = pq.read_table(entities)
    versions = _versions(at or [])
    made = training_set(
        rows, service, mode, engine=engine, at_versions=versions, settings=load_settings(settings), keep=keep
    )
    made.write(str(to))
    typer.echo(f"{to}: {rows.num_rows:,} rows" + (f"; manifest {made.name}" if made.name else ""))


@training_app.command()
def again(name: str, to: Target, engine: By = "duckdb", settings: SettingsFile = None) -> None:
    """The training set of a manifest, byte for byte."""
    from content_signals.features.training import training_set_from
    from content_signals.settings import load_settings

    training_set_from(name, load_settings(settings), engine=engine).write(str(to))
    typer.echo(f"{to}: as {name} says")


@training_app.command(name="list")
def list_(json: Json = False, settings: SettingsFile = None) -> None:
    """Every manifest: service, mode, rows, and the versions it pins."""
    from content_signals.inspection import show
    from content_signals.lake.manifests import manifests

    wanted = ("name", "service", "mode", "rows", "made_at")
    found = [
        {name: one[name] for name in wanted} | {"pins": [f"{pin['table']} {pin['version']}" for pin in one["pins"]]}
        for one in manifests(context_of(settings).lake)
    ]
    show.rows("manifests", found, json, empty="no manifest is kept")


@training_app.command()
def release(name: str, settings: SettingsFile = None) -> None:
    """Remove a manifest: upkeep may remove the files that only it has pinned."""
    from content_signals.lake.manifests import release as released

    released(context_of(settings).lake, name)
    typer.echo(f"{name} is released")


def _versions(given: list[str]) -> dict[str, int]:
    found = {}
    for one in given:
        table, _, version = one.partition("=")
        if not version.isdigit():
            raise UsageError(f"--at {one} is not TABLE=VERSION", next_step="--at track_popularity_v1=42")
        found[table] = int(version)
    return found

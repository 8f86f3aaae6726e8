"""Commands about features, as models read them."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from content_signals.cli.common import Json, SettingsFile, app, context_of
from content_signals.errors import UsageError

Entity = Annotated[str, typer.Argument(help="What kind of thing, e.g. track.")]
Family = Annotated[str, typer.Argument(help="The family, e.g. track_popularity.")]
Key = Annotated[str, typer.Argument(help="Which one: its key.")]
Reason = Annotated[str, typer.Option("--reason", help="Who asked for it, and why; kept with the entry.")]
By = Annotated[str | None, typer.Option("--by", help="Who decided it; default: you.")]

features_app = typer.Typer(no_args_is_help=True, help="Features, as models read them.")
app.add_typer(features_app, name="features")


@features_app.command()
def get(
    service: str,
    keys: Annotated[
        list[str],
        typer.Option(
            "--keys", help="Keys, separated by commas. Of a service with several key columns, once each: COLUMN=KEY,KEY"
        ),
    ],
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

    rows = feature_rows(context_of(settings), service, _keys(keys), _moment(as_of), offline=offline)
    show.rows(service, rows if json else values_only(rows), json)


def _keys(given: Sequence[str]) -> list[str] | dict[str, list[str]]:
    """Keys of one column, or, given more than once, keys by column."""
    if len(given) == 1:
        wanted = list(dict.fromkeys(key for key in given[0].split(",") if key))
        if not wanted:
            raise UsageError("no key given", next_step="--keys KEY[,KEY…]")
        return wanted
    columns: dict[str, list[str]] = {}
    for some in given:
        column, equals, keys = some.partition("=")
        if not equals or not keys or column in columns:
            raise UsageError(f"--keys {some}: a column and its keys, each column once", next_step="COLUMN=KEY[,KEY…]")
        columns[column] = keys.split(",")
        if "" in columns[column]:
            raise UsageError(f"--keys {some}: a key is empty", next_step="COLUMN=KEY[,KEY…]")
    return columns


@app.command()
def explain(
    entity: Entity,
    key: Key,
    feature: Annotated[str, typer.Argument(help="view:feature, or a name that one view alone has.")],
    at: Annotated[str | None, typer.Option("--at", help="As of this moment (ISO 8601, UTC); default: now.")] = None,
    json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """Why a feature has the value it has: day, run, inputs, files, verdict, when published; what was served before."""
    from content_signals.inspection import show
    from content_signals.inspection.explanation import as_rows
    from content_signals.inspection.explanation import explain as told_of

    context = context_of(settings)
    told = told_of(context, entity, key, feature, _moment(at) if at else context.run.now)
    show.record(told if json else as_rows(told), json)


@features_app.command(name="flip")
def flip_(
    family: Family,
    to: Annotated[int, typer.Option("--to", help="The version that shall be live.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the services.")],
    by: By = None,
    settings: SettingsFile = None,
) -> None:
    """Have everybody who follows a family read another version of it, within a second."""
    from content_signals.pipeline.flip import flip_family

    flip_family(context_of(settings, say=True), family, to, reason, by or getpass.getuser())


@features_app.command()
def rollback(
    family: Family,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the services.")],
    by: By = None,
    settings: SettingsFile = None,
) -> None:
    """Undo the last flip of a family."""
    from content_signals.pipeline.flip import flip_family

    flip_family(context_of(settings, say=True), family, None, reason, by or getpass.getuser())


@features_app.command()
def takedown(
    entity: Entity, key: Key, reason: Reason, by: By = None, json: Json = False, settings: SettingsFile = None
) -> None:
    """Take one thing down: from now on nobody reads its signals, online or offline. Stays until it is reinstated."""
    from content_signals.inspection import show
    from content_signals.pipeline.takedown import take_down

    views = take_down(context_of(settings, say=True), entity, key, reason, by or getpass.getuser())
    show.rows(f"{entity} {key} taken down", [{"view": view} for view in views], json)


@features_app.command()
def reinstate(
    entity: Entity, key: Key, reason: Reason, by: By = None, json: Json = False, settings: SettingsFile = None
) -> None:
    """Undo a takedown: what the newest promoted days say of it is served again."""
    from content_signals.inspection import show
    from content_signals.pipeline.takedown import give_back

    views = give_back(context_of(settings, say=True), entity, key, reason, by or getpass.getuser())
    show.rows(f"{entity} {key} reinstated", [{"view": view} for view in views], json)


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a moment", next_step="write 2020-07-01 or 2020-07-01T12:00:00Z") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

"""Commands about the index of chunks: search it, see its versions, move the live one."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from typing import Annotated

import typer

from content_signals.cli.common import Json, SettingsFile, app, context_of

index_app = typer.Typer(no_args_is_help=True, help="Versions of the index that `search` reads.")
app.add_typer(index_app, name="index")

Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the flip.")]
By = Annotated[str | None, typer.Option("--by", help="Who decided it; default: you.")]


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What to look for, in words.")],
    k: Annotated[int, typer.Option("--k", help="How many passages.")] = 5,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", help="A condition on a signal of the episode: language=en, explicit_ratio<0.01."),
    ] = None,
    deadline: Annotated[float, typer.Option("--deadline", help="Seconds to answer within.")] = 5.0,
    json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """Passages of transcripts that say what is asked for, by words and by meaning."""
    from content_signals.inspection import show
    from content_signals.inspection.passages import told
    from content_signals.pipeline.search_index import searcher

    with searcher(context_of(settings)) as found:
        answer = found.search(query, k, where or [], deadline)
    if json:
        show.record(asdict(answer), json)
        return
    for line in told(answer, query):
        typer.echo(line)


@index_app.command(name="list")
def list_versions(json: Json = False, settings: SettingsFile = None) -> None:
    """The versions that there are: which is live, which was before, of which day, how large."""
    from content_signals.inspection import show
    from content_signals.pipeline.search_index import versions

    rows = [asdict(row) for row in versions(context_of(settings))]
    show.rows("index of chunks", rows, json, empty="no index was built: jobs/build_search_index.py --day D")


@index_app.command()
def flip(
    to: Annotated[str, typer.Option("--to", help="A version, as `index list` shows it.")],
    reason: Reason = "",
    by: By = None,
    settings: SettingsFile = None,
) -> None:
    """Make a version the one that searches read."""
    from content_signals.pipeline.search_index import flip_index

    flip_index(context_of(settings, say=True), to, reason, by or getpass.getuser())


@index_app.command()
def rollback(reason: Reason = "", by: By = None, settings: SettingsFile = None) -> None:
    """Make the version that was live before the last flip the live one again."""
    from content_signals.pipeline.search_index import flip_index

    flip_index(context_of(settings, say=True), None, reason, by or getpass.getuser())

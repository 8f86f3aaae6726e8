"""What the commands share: the application, the options that recur, the surroundings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from content_signals.pipeline.context import Context

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Look at the lake, read features, write signals, run the platform on a laptop.",
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]
SettingsFile = Annotated[Path | None, typer.Option("--settings", help="Settings file; default: conf/local.toml.")]
Day = Annotated[str, typer.Option("--day", help="YYYY-MM-DD")]


def context_of(settings: Path | None, *, say: bool = False) -> Context:
    """The context of a command; with `say` its progress goes to stderr."""
    import time

    from content_signals.catalog import catalog
    from content_signals.lake.layout import Lake, start_run
    from content_signals.pipeline.context import Context, to_stderr
    from content_signals.settings import load_settings

    found = load_settings(settings)
    return Context(
        found, Lake(found.lake), catalog(), start_run(), to_stderr(time.monotonic()) if say else lambda _: None
    )

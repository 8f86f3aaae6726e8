"""The `content-signals` command."""

from __future__ import annotations

import sys

import typer

# Each adds its commands.
from content_signals.cli import authoring, features, llm, platform, search, tables, training  # noqa: F401
from content_signals.cli.common import app
from content_signals.errors import SignalsError

__all__ = ["app", "main"]


def main() -> None:
    """Run the command; an error of ours is shown as such and gives its exit code."""
    try:
        app()
    except SignalsError as error:
        typer.echo(str(error), err=True)
        sys.exit(error.exit_code)

"""The `content-signals` command."""

from __future__ import annotations

import sys

import typer

from content_signals.cli import authoring, features, llm, platform, tables, training  # noqa: F401  # each adds commands
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

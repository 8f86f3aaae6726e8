"""Text from elsewhere, made fit to stand in a headline, a command or a log line."""

from __future__ import annotations


def one_line(text: object, longest: int) -> str:
    """The text on one line: no control or invisible characters, single spaces, none at the ends; cut at `longest`."""
    given = text if isinstance(text, str) else ""
    shown = "".join(letter if letter.isprintable() else " " if letter.isspace() else "" for letter in given)
    line = " ".join(shown.split())
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"

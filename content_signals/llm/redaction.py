"""Keeps secrets out of what servers say. Some repeat the key they refuse."""

from __future__ import annotations

import re

from pydantic import SecretStr

_MASK = "***"
_LIKE_A_KEY = re.compile(r"\bsk-[\w*-]{4,}|(?<=Bearer )\S+|(?<=://)[^\s/]+(?=@)", re.IGNORECASE)
_SHORTEST = 4  # of a key: what is shorter stands in any word


class Redactor:
    """Masks a key in texts; in errors also whatever looks like one."""

    def __init__(self, key: SecretStr | None = None) -> None:
        self._key = key

    def text(self, text: str) -> str:
        """A text without the key."""
        secret = self._key.get_secret_value() if self._key else ""
        return text.replace(secret, _MASK) if len(secret) >= _SHORTEST else text

    def line(self, text: str, limit: int = 300) -> str:
        """An error on one line, without keys or halves of characters, which no file keeps, cut off at a limit."""
        line = " ".join(_LIKE_A_KEY.sub(_MASK, self.text(text)).split())[:limit]
        return line.encode("utf-8", "replace").decode("utf-8")

    def __repr__(self) -> str:
        return "Redactor()"

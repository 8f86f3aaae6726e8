"""What a transcript says, without what only its notation says.

Who speaks is no part of what is said. A host's name before every turn would tell a model of topics the show, and a
search for a person every chunk of theirs; names that are spoken stay.
"""

from __future__ import annotations

import re

# "**Jerod Santo:** ", at the start of a line. A break is noted as a speaker: "**Break:** \[10:15\]". "**Break**:" and
# "Adam:" are left in: docs/content/episode_chunks.md and episode_text.md say how often, and why.
LABEL = re.compile(r"(?m)^[ \t]*\*\*[^*\n]{1,80}:[ \t]?\*\*[ \t]*")

_LINK = re.compile(r"\[([^\[\]\n]+)\]\([^()\s]*\)")
# "\[laughter\]", "[00:10:24]", "\[unintelligible 00:28\]": the transcriber's words, not the speaker's.
_ASIDE = re.compile(r"\\?\[[^\[\]\n]{0,120}\]")
_MARKS = re.compile(r"[*`\\]+")
_WORD = re.compile(r"[a-z][a-z0-9+#]*(?:[-'.][a-z0-9+#]+)*")


def spoken(text: str) -> str:
    """The words alone: no labels of speakers, asides, links or marks of Markdown; each gap is one space."""
    said = _ASIDE.sub(" ", _LINK.sub(r"\1", LABEL.sub(" ", text)))
    return " ".join(_MARKS.sub("", said).split())


def words(text: str) -> list[str]:
    """The words of an English text in lower case: don't, open-source, node.js and c++ are one each."""
    return _WORD.findall(text.lower().replace("’", "'"))

r"""A transcript as paragraphs and turns: who speaks, and what is really said.

A transcript is Markdown, a paragraph a line. A line that opens with a name in bold and a colon ("**Ada Byron:** …") is
that speaker's, and so are the lines after it up to the next name. A label such as "**Break:**" or "**Jingle:**" names a
sound: nobody speaks, and what comes after it, up to the next name, is nobody's. Where no name is bold, plain ones count
("Ada Byron: …", "[00:12] ADA: …"), if two of them open two lines each: "Note: …" in prose is nobody.

What is said is less than what is written: time stamps and notes in square brackets, the addresses of links, and the
marks of Markdown are not spoken. They are overwritten with spaces, so that offsets into a paragraph are offsets into
the transcript. Asterisks that mask letters ("s\*\*t") stay, for a word was said there. HTML entities are decoded
first: offsets are into the decoded transcript.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# What stands where a speaker's name would, in lower case.
SOUNDS = frozenset({
    "break", "jingle", "intro", "outro", "music", "song", "song sample", "extract", "clip", "sound", "promo", "teaser",
})  # fmt: skip
ADS = frozenset({"ad", "ads", "ad break", "ad read", "advertisement", "sponsor", "sponsors", "sponsor break"})

_LABEL = re.compile(r"\*\*(?P<name>[^*\n]{1,80}?)\s{0,9}(?::\s{0,9}\*\*|\*\*\s{0,9}:)")
_BARE_SOUND = re.compile(rf"(?P<name>{'|'.join(sorted(SOUNDS | ADS, key=len, reverse=True))})\s{{0,9}}:", re.IGNORECASE)
_CLOCK = r"[\[(]?\d{1,2}(?::\d{2}){1,2}(?:\.\d{1,3})?[\])]?"
_PLAIN = re.compile(
    rf"\s{{0,9}}(?:\\?{_CLOCK}\s{{1,9}})?(?P<name>(?![\W\d_])[\w.'’-]{{1,30}}(?: [\w.'’-]{{1,30}}){{0,3}})"
    rf"(?:\s{{1,9}}{_CLOCK})?\s?:(?=\s|$)"
)
_TIMES, _NAMES = 2, 2  # so many lines each open, and so many of them there are
_LINK = re.compile(r"\[([^\[\]\n]{0,300})\]\((?:[^()\s]|\([^()\s]{0,300}\)){1,2000}\)")
_ADDRESS = re.compile(r"https?://(?=\w)|\bwww\.(?=\w)")
_TIME = r"\[[\d:.\\]{1,20}\]"
_NOTE = re.compile(rf"{_TIME} to \\?{_TIME}|\[[^\[\]\n]{{0,120}}\]")
_MARKDOWN = str.maketrans(dict.fromkeys("\\*_`#>|~", " "))
# "s\*\*t", "sh*t", "f\*\*\*": asterisks that stand for letters are said.
_MASKED = re.compile(r"(?<![\w*\\])[^\W\d_]++(?:(?:(?:\\?\*)++[^\W\d_]++)++(?:(?:\\\*){2,})?+|(?:\\\*){2,}+(?![\w*]))")
_KEPT = "\ue000"  # for private use: stands in no text


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A line of a transcript that says something.

    Attributes:
        speaker: the name as a key: lower case, single spaces. Empty: nobody is named.
        turn: number of the turn it is part of: what one speaker says before another one does, or a sound is heard.
        start: where `text` begins in the decoded transcript.
        text: what is said, with spaces for what is only written.
        is_ad: it stands under a label that says so.
    """

    speaker: str
    turn: int
    start: int
    text: str
    is_ad: bool = False


@dataclass(frozen=True, slots=True)
class Transcript:
    """A transcript, read. `links` counts Markdown links and written addresses (http, https, www)."""

    paragraphs: tuple[Paragraph, ...]
    links: int


def read(transcript: str) -> Transcript:
    """The paragraphs of a transcript, in order, and how many links it holds."""
    decoded = html.unescape(transcript)
    without_links = _LINK.sub("", decoded)
    links = len(_LINK.findall(decoded)) + len(_ADDRESS.findall(without_links))
    return Transcript(tuple(_paragraphs(decoded)), links)


def spoken(written: str) -> str:
    """What is said of what is written, each character in its place."""
    text = _LINK.sub(lambda link: f" {link[1]}".ljust(len(link[0])), written)
    text = _NOTE.sub(lambda note: " " * len(note[0]), text)
    text = _ADDRESS.sub(lambda scheme: " " * len(scheme[0]), text)
    text = _MASKED.sub(lambda word: word[0].replace("\\", _KEPT).replace("*", _KEPT), text)
    return text.translate(_MARKDOWN).replace(_KEPT, "*")


def _paragraphs(decoded: str) -> Iterator[Paragraph]:
    speaker, sounds, is_ad, start = "", 0, False, 0
    turn, last = -1, ("", -1)
    lines = decoded.split("\n")
    plain = _plain_names(lines)
    for line in lines:
        label = _LABEL.match(line) or _BARE_SOUND.match(line)
        if not label and plain and (label := _PLAIN.match(line)) and _key(label) not in plain:
            label = None
        if label:
            name = _key(label)
            is_sound = name in SOUNDS or name in ADS
            speaker, sounds, is_ad = "" if is_sound else name, sounds + is_sound, name in ADS
        begin = label.end() if label else 0
        text = spoken(line[begin:])
        if text and not text.isspace():
            turn, last = turn + ((speaker, sounds) != last), (speaker, sounds)
            yield Paragraph(speaker, turn, start + begin, text, is_ad)
        start += len(line) + 1


def _plain_names(lines: Sequence[str]) -> frozenset[str]:
    """Names that open lines without being bold, where none is bold and they are names by all appearance."""
    if any(_LABEL.match(line) for line in lines):
        return frozenset()
    found = [label for line in lines if (label := _PLAIN.match(line)) and _is_name(label["name"])]
    counts = Counter(_key(label) for label in found)
    names = frozenset(name for name, lines in counts.items() if lines >= _TIMES)
    return names if len(names - SOUNDS - ADS) >= _NAMES else frozenset()


def _is_name(text: str) -> bool:
    """No word begins with a small letter; numbers may stand behind the first one ("Speaker 1")."""
    return not any(word[0].islower() for word in text.split())


def _key(label: re.Match[str]) -> str:
    return " ".join(label["name"].split()).lower()

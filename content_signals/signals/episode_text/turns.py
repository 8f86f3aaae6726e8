r"""A transcript as paragraphs and turns: who speaks, and what is really said.

A transcript is Markdown, a paragraph a line. A line that opens with a name in bold and a colon ("**Ada Byron:** …",
"**Ada Byron (00:12):** …") is that speaker's, and so are the lines after it up to the next name. A label such as
"**Break:**" or "**Jingle:**" names a sound: nobody speaks, and what comes after it, up to the next name, is nobody's.
Where no name is bold, plain ones count ("Ada Byron: …", "[00:12] ADA: …"), if two of them open two lines each:
"Note: …" in prose is nobody.

What is said is less than what is written: time stamps and notes in square brackets, times that open a line, those of
subtitles, tags of HTML, the addresses of links, and the marks of Markdown are not spoken. They are overwritten with
spaces, so that offsets into a paragraph are offsets into the transcript. Asterisks that mask letters ("s\*\*t") stay,
for a word was said there. HTML entities are decoded first: offsets are into the decoded transcript.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# What stands where a speaker's name would, in lower case.
SOUNDS = frozenset({
    "break", "jingle", "intro", "outro", "music", "song", "song sample", "extract", "clip", "sound", "promo", "teaser",
})  # fmt: skip
ADS = frozenset({
    "ad", "ads", "ad break", "ad read", "advertisement", "sponsor", "sponsors", "sponsor break",
    "sponsor message", "midroll", "mid-roll", "preroll", "pre-roll", "postroll", "post-roll",
})  # fmt: skip

_CLOCK = r"\\?[\[(]?\\?\d{1,2}(?::\d{2}){1,2}(?:[.,]\d{1,3})?\\?[\])]?"
_BLANK, _COLON = r"[\s\ufeff]*+", "[:：]"
_LABEL = re.compile(
    rf"{_BLANK}(?:{_CLOCK}\s{{1,9}})?(?P<bold>\*\*|__)(?P<name>(?:(?!(?P=bold))[^\n]){{1,80}}?)\s{{0,9}}"
    rf"(?:{_COLON}\s{{0,9}}(?P=bold)|(?P=bold)\s{{0,9}}(?:{_CLOCK}\s{{0,9}})?{_COLON})"
)
_BARE_SOUND = re.compile(
    rf"{_BLANK}(?P<name>{'|'.join(sorted(SOUNDS | ADS, key=len, reverse=True))})\s{{0,9}}{_COLON}",
    re.IGNORECASE,
)
_PLAIN = re.compile(
    rf"{_BLANK}(?:{_CLOCK}\s{{1,9}})?(?P<name>(?![\W\d_])[\w.'’-]{{1,30}}(?: [\w.'’-]{{1,30}}){{0,3}})"
    rf"(?:\s{{1,9}}{_CLOCK})?\s?{_COLON}(?=\s|$)"
)
_STAMP = re.compile(r"\s{0,9}[\[(]?\d{1,2}:\d{2}:\d{2}(?:[.,]\d{1,3})?[\])]?(?=\s|$)|\s{0,9}\(\d{1,2}:\d{2}\)(?=\s|$)")
_IN_NAME = re.compile(rf"(?:[-–—]\s{{0,9}})?{_CLOCK}|[\[\]()]")  # beside a name: when it is said
_LINE = re.compile("[^\n\r\v\f\x85\u2028\u2029]+")
_TIMES, _NAMES = 2, 2  # so many lines each open, and so many of them there are
_LINK = re.compile(r"\[([^\[\]\n]{0,300})\]\((?:[^()\s]|\([^()\s]{0,300}\)){1,2000}\)")
_ADDRESS = re.compile(r"https?://(?=\w)|\bwww\.(?=\w)")
_TIME = r"\[[\d:.\\]{1,20}\]"
# Tags of HTML; of subtitles the line of times with the number above it, and WebVTT's first line.
_MARKUP = re.compile(
    r"</?[A-Za-z][^<>\n]{0,2000}>"
    r"|^(?:\d{1,6}[ \t\r]*\n)?[ \t]*\d[\d:.,]{4,15}[ \t]+-->[ \t]+\d[^\n]{0,120}$"
    r"|\A\ufeff?WEBVTT[^\n]{0,120}$",
    re.MULTILINE,
)
_WRITTEN = re.compile(r"[^\n\r]")
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
    # Tags are found in what is written: "&lt;br&gt;" is said. As long as they are once decoded, for offsets.
    plain = _MARKUP.sub(lambda found: _WRITTEN.sub(" ", html.unescape(found[0])), transcript)
    return Transcript(tuple(_paragraphs(html.unescape(plain))), links)


def spoken(written: str) -> str:
    """What is said of what is written, each character in its place."""
    text = _LINK.sub(lambda link: f" {link[1]}".ljust(len(link[0])), written)
    text = _NOTE.sub(lambda note: " " * len(note[0]), text)
    text = _ADDRESS.sub(lambda scheme: " " * len(scheme[0]), text)
    text = _MASKED.sub(lambda word: word[0].replace("\\", _KEPT).replace("*", _KEPT), text)
    return text.translate(_MARKDOWN).replace(_KEPT, "*")


def _paragraphs(decoded: str) -> Iterator[Paragraph]:
    speaker, sounds, is_ad = "", 0, False
    turn, last = -1, ("", -1)
    lines = list(_LINE.finditer(decoded))
    plain = _plain_names([line[0] for line in lines])
    for line in lines:
        begin = 0
        if label := _label(line[0], plain):
            begin = label.end()
            if name := _key(label):  # else a time stands where a name would
                is_sound = name in SOUNDS or name in ADS
                speaker, sounds, is_ad = "" if is_sound else name, sounds + is_sound, name in ADS
        if stamp := _STAMP.match(line[0], begin):
            begin = stamp.end()
        text = spoken(line[0][begin:])
        if text and not text.isspace():
            turn, last = turn + ((speaker, sounds) != last), (speaker, sounds)
            yield Paragraph(speaker, turn, line.start() + begin, text, is_ad)


def _label(line: str, plain: frozenset[str]) -> re.Match[str] | None:
    found = _LABEL.match(line) or _BARE_SOUND.match(line)
    if not found and plain and (found := _PLAIN.match(line)) and _key(found) not in plain:
        return None
    return found


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
    """A label's name, however it is written: without the time beside it, and without what nobody sees."""
    name = unicodedata.normalize("NFC", _IN_NAME.sub(" ", label["name"]))
    seen = "".join(letter for letter in name if unicodedata.category(letter) != "Cf")
    return " ".join(seen.split()).strip(" -–—").lower()

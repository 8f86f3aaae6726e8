"""The words of a title that are in its language: without what says which recording it is, and who else is on it.

"Alors On Danse - DubDogz Remix", "Titanium (feat. Sia)", "Despacito - Live": the tail is English, or a name, whatever
the song is in. It stands in a bracket or after a dash between spaces, as in `track_title`; such a stretch is left out
when a word in it marks a recording, a guest, or where it comes from. Words that mark the same in other languages ("ao
vivo", "versión acústica") stay: they are in the language of the release.
"""

from __future__ import annotations

import re

_MARKS = "|".join((
    r"live", r"(?:re-?)?mix(?:e[sd])?", r"rmx", r"(?:re-?)?edit(?:ed)?", r"edition", r"versions?", r"ver",
    r"re-?master(?:e[ds]|ing)?", r"re-?record(?:ed|ing)", r"record(?:ed|ing)", r"re-?work(?:ed)?", r"re-?fix",
    r"re-?touch", r"re-?imagined", r"remake", r"bootleg", r"mash-?up", r"vip", r"flip", r"dub", r"rendition",
    r"acoustic", r"unplugged", r"stripped", r"instrumentals?", r"karaoke", r"a cappella", r"acapella", r"orchestral",
    r"cover(?:ed)?", r"tribute", r"demo", r"sessions?", r"radio", r"extended", r"original", r"club", r"single",
    r"album", r"bonus", r"deluxe", r"mono", r"stereo", r"soundtrack", r"ost", r"theme", r"score", r"intro", r"outro",
    r"interlude", r"skit", r"reprise", r"explicit", r"clean", r"official", r"audio", r"video", r"lyrics?",
    r"sped up", r"slowed", r"reverb", r"anniversary", r"spotify", r"feat", r"ft", r"featuring", r"with", r"prod",
    r"produced", r"vs", r"from", r"part", r"pt", r"vol", r"volume", r"(?:19|20)\d\d",
))  # fmt: skip
_MARKED = re.compile(rf"(?<!\w)(?:{_MARKS})(?!\w)", re.IGNORECASE)
_BRACKETED = re.compile(r"[(\[（【][^()\[\]（）【】]*(?:[)\]）】]|$)")
_DASHED = re.compile(r"\s[-–—]\s.*?(?=\s[-–—]\s|$)")
_GUESTS = re.compile(r"(?<!\w)(?:feat\.|ft\.|featuring(?!\w)).*$", re.IGNORECASE)


def wording(title: str) -> str:
    """The title without the stretches that mark a recording, guests or an origin; "" when nothing else is in it."""
    bare = _DASHED.sub(_kept, _BRACKETED.sub(_kept, title))
    return " ".join(_GUESTS.sub(" ", bare).split())


def _kept(stretch: re.Match[str]) -> str:
    return " " if _MARKED.search(stretch.group()) else stretch.group()

"""Ad reads: where a show speaks for somebody who pays or trades for it.

An *ad read* is one of three things said in an episode: a sponsor's credit or thanks, by name ("Today's show is
sponsored by Linode"); a sponsor's message; an offer to those who listen (a discount code, free months). None is: talk
about sponsors, a guest on their own product, the show about itself, a break that is announced without a name. What
stands under a label such as "**Sponsor:**" is an ad read whatever it says.

It is found sentence by sentence:

1. *Credits*: a phrase of `_CREDITS` with a name in the sentence, or in the next one. The phrases are about the show:
   "sponsored by" alone is said of conferences, of projects and in jokes.
2. *Offers*: a code, a discount or free months, and something that hands it to the listener (`_OFFERS`).
3. *Reach*: from a credit or an offer on, the ad read goes to the last sentence of the turn that says one of its names,
   as long as no stretch of more than `_GAP` words goes without one: sponsors pay for being named. Names are those of
   the credit, those that other credits of the episode gave and that the sentence says again, and sites with a path
   ("linode.com/gotime"). An offer reaches over the sentences beside it in its paragraph, `_BEFORE` and `_AFTER` words.

The phrases are English: in other languages nothing but a label is found. How much is found, and what is not, is in
docs/content/episode_text.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from content_signals.signals.episode_text.words import Sentence

_GAP = 200
_BEFORE, _AFTER = 15, 60
# No ad read is longer (four minutes), and no episode has more sponsors: however long a text is, its time is bounded.
_LONGEST = 600
_MOST_NAMES = 50

_SHOW = r"(?:show|episode|podcast|program(?:me)?|broadcast)"
_WHOSE = rf"(?:our|today['’]s|tonight['’]s|this (?:week|month|{_SHOW})['’]s|the (?:{_SHOW}['’]s)?)"
_WHICH = r"(?:(?:first|second|third|next|other|last|final|main|lovely|wonderful|awesome|great|amazing|good|longtime) )*"
_WHEN = rf"(?: (?:for|of|on) (?:(?:this|today['’]s|our|the) )?(?:{_SHOW}|today))?(?: today| this week)?"
_THANKS = r"\b(?:thanks?|thank you|thanking|shout[ -]?outs?|props|kudos|grateful|appreciate)\b"
_IS, _BEFORE_NAME = r"(?:,? (?:which |who )?(?:is|are)\b|[,:])", r"(?=\s{1,9}(?!I\b)(?-i:[A-Z]))"
_CREDITS = re.compile(
    "|".join((
        rf"\b{_SHOW}\b(?:(?!\bnot\b).){{0,40}}\b(?:sponsored|brought to you|made possible|supported)\b.{{0,20}} by\b",
        rf"\b(?:{_WHOSE} {_WHICH}|(?:first|second|third|next|other) )sponsors?{_WHEN}{_IS}(?: actually)?{_BEFORE_NAME}",
        rf"{_THANKS}.{{0,60}}\b{_WHOSE} ?{_WHICH}sponsors?\b",
        rf"\bthank(?:s| you)\b.{{0,60}}\b{_WHOSE} ?{_WHICH}partners\b",
        rf"{_THANKS}.{{0,80}}\bfor (?:sponsoring|supporting) (?:us\b|(?:{_WHOSE}|this) (?:\w+ ){{0,2}}?{_SHOW}\b)",
        rf"\bsupport for (?:this|our|the|today['’]s) {_SHOW} (?:comes from|is provided by)\b",
        r"\bbrought to you (?:today )?by our (?:good )?(?:friends|partners) (?:at|over at|from)\b",
    )),
    re.IGNORECASE,
)  # fmt: skip
_THEM = re.compile(r"\b(?:without them|show them|check them out|hit them up|let them know)\b", re.IGNORECASE)

_CODE = r"(?:[\"'“‘][\w-]+[\"'”’]|(?-i:[A-Z]{4,}\d*)\b|\w*[a-z]\d+\b)"  # "gotime", JSPARTY, gotime20
_WHEN_BOUGHT = r"(?:your (?:first|order|next|copy)|when you (?:buy|sign)|if you (?:buy|sign|use|head|go))"
_HANDED = rf"(?:listeners?|at checkout|tickets?|\d+ ?%|off all|for free|months? free|free months?|{_WHEN_BOUGHT})"
_OFFERS = tuple(
    (re.compile(what, re.IGNORECASE), re.compile(handed, re.IGNORECASE))
    for what, handed in (
        (
            r"\b(?:promo|coupon|discount|offer|secret|special|referral) codes?\b",
            rf"\b{_HANDED}|{_CODE}|\bcodes? (?:off|from|through|for (?:every|our|you\b|the (?-i:[A-Z])))",
        ),
        (r"\b(?:use|enter|with) (?:the |our |my )?code\b", rf"\bcode {_CODE}|\bcode\b.{{0,80}}\b{_HANDED}"),
        (
            r"\d ?% (?:off|discount)\b",
            rf"\b(?:listeners?|codes?|tickets?|at checkout|off all|{_WHEN_BOUGHT})\b|\buse {_CODE}",
        ),
        (
            r"\b(?:months?|weeks?|days?) (?:for )?free\b|\bfree (?:months?|trial)\b|\$\d+ (?:in |of )?(?:free )?credit",
            rf"\b[\w-]{{1,60}}\.(?:com|io|co|dev|org|net|fm|ai|app)/\w|\bcode {_CODE}",
        ),
    )
)

# What every credit and every offer holds: most sentences need not be looked at twice.
_HINT = re.compile(r"sponsor|support|partner|brought|possible|friends|code|%|free|credit", re.IGNORECASE)

_NAME = re.compile(r"\b[A-Z][\w+&]+(?:[.'’-]\w+)*(?: [A-Z][\w+&]*(?:[.'’-]\w+)*)*")
_FIRST_WORD = re.compile(r"^\W*\w+(?=\s+[^A-Z\s])")
_SITE = re.compile(r"\b([\w-]{3,60})\.(?:com|io|co|dev|org|net|fm|ai|app|sh|cloud)/\w", re.IGNORECASE)
# Capitalised without being anybody's name.
_CAPITALISED = """
    a actually again all alright an and as at before big but definitely especially everybody first for from go hello hey
    hi huge i i'd i'll i'm i've in it it's let's lots many now of oh ok okay on one or our please second shout slack so
    special support thank thanking thanks that that's the their them these they this third to today today's tonight
    twitter we we'd we'll we're we've welcome well with without yay yeah yes you your
    january february march april may june july august september october november december
    monday tuesday wednesday thursday friday saturday sunday
"""
_NO_NAMES = frozenset(_CAPITALISED.split())


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence in its place.

    Attributes:
        sentence: what is said.
        turn: number of the turn; an ad read ends with it.
        paragraph: number of the paragraph.
        is_ad: it stands under a label that says so.
    """

    sentence: Sentence
    turn: int
    paragraph: int
    is_ad: bool = False


def ad_reads(said: Sequence[Said], speakers: Iterable[str]) -> list[bool]:
    """Which sentences of an episode are in ad reads.

    Args:
        said: its sentences, in order.
        speakers: names of those who speak, in lower case: thanks to a guest advertise nobody.
    """
    people = frozenset(part for name in speakers for part in name.split())
    hints = [n for n, one in enumerate(said) if _HINT.search(one.sentence.text)]
    credited = {n: names for n in hints if (names := _credit(said, n, people))}
    offers = [n for n in hints if _is_offer(said[n].sentence.text)]
    known = frozenset(islice(dict.fromkeys(name for names in credited.values() for name in sorted(names)), _MOST_NAMES))
    found = [one.is_ad for one in said]
    for n in sorted({*credited, *offers}):
        text = said[n].sentence.text
        names = credited.get(n, frozenset()) | {name for name in known if _says(text, (name,))} | _sites(text)
        for reached in (*_reach(said, n, names), *(_thanked(said, n) if n in credited else ())):
            found[reached] = True
    for n in offers:
        for near in _beside(said, n):
            found[near] = True
    return found


def _credit(said: Sequence[Said], n: int, people: frozenset[str]) -> frozenset[str]:
    """The names a sentence credits; none when it is no credit."""
    text = said[n].sentence.text
    if not _CREDITS.search(text):
        return frozenset()
    names = _names(text, people)
    return names if names or not _same_paragraph(said, n, n + 1) else _names(said[n + 1].sentence.text, people)


def _names(text: str, people: frozenset[str]) -> frozenset[str]:
    """Capitalised words that are nobody who speaks: 'Code School', 'Linode', 'Equinox.io'.

    The first word of a sentence is none, but before another one or in a list ("Linode, the best way, and Equinox").
    """
    found = set()
    for match in _NAME.finditer(_FIRST_WORD.sub("", text)):
        parts = [part for part in match[0].split() if part.lower() not in _NO_NAMES]
        if parts and not any(part.lower().removesuffix("'s") in people for part in parts):
            found.add(" ".join(parts))
    return frozenset(found)


def _sites(text: str) -> frozenset[str]:
    """The names in addresses with a path, as in linode.com/gotime."""
    return frozenset(match[1] for match in _SITE.finditer(text) if match[1].lower() not in _NO_NAMES)


def _is_offer(text: str) -> bool:
    return any(what.search(text) and handed.search(text) for what, handed in _OFFERS)


def _says(text: str, names: Iterable[str]) -> bool:
    """Whether a text says one of the names, in one word or several, or in an address."""
    squashed = text.replace(" ", "")
    lower = squashed.lower()
    for name in names:
        short = name.replace(" ", "").removesuffix(".io").removesuffix(".com")
        if short in squashed or f"{short.lower()}." in lower:
            return True
    return False


def _reach(said: Sequence[Said], n: int, names: frozenset[str]) -> range:
    """From a credit or an offer to the last sentence of its turn that says one of the names."""
    last, nameless, words = n, 0, 0
    for later in range(n + 1, len(said)):
        words += len(said[later].sentence.words)
        if said[later].turn != said[n].turn or nameless > _GAP or words > _LONGEST:
            break
        if _says(said[later].sentence.text, names):
            last, nameless = later, 0
        else:
            nameless += len(said[later].sentence.words)
    return range(n, last + 1)


def _thanked(said: Sequence[Said], n: int) -> tuple[int, ...]:
    """The sentence after a credit when it is about "them": "Without them, we would not have a show"."""
    about_them = _same_paragraph(said, n, n + 1) and _THEM.search(said[n + 1].sentence.text)
    return (n + 1,) if about_them else ()


def _beside(said: Sequence[Said], n: int) -> list[int]:
    """The sentences around an offer, in its paragraph."""
    found = [n]
    for step, budget in ((-1, _BEFORE), (1, _AFTER)):
        near = n + step
        while _same_paragraph(said, n, near) and (budget := budget - len(said[near].sentence.words)) >= 0:
            found.append(near)
            near += step
    return found


def _same_paragraph(said: Sequence[Said], one: int, other: int) -> bool:
    return 0 <= other < len(said) and said[one].paragraph == said[other].paragraph

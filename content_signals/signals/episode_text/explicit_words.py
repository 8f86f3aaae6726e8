"""Strong language: words that earn an episode the mark "explicit".

English, lower case, each form by itself: general swear words that Ofcom's study of offensive language on television
and radio (2016) ranked medium or stronger, in the forms that speech has. Left out are words with an everyday meaning
("balls", "cock", "dick", "knob", "snatch"), mild ones ("crap", "damn", "hell"), and slurs against people: naming a slur
and using one are different things, and a share of words cannot tell them apart.

Transcripts mask most of them ("s**t", "f***"): a masked word is strong language when one of these words begins and ends
as it does. A bleep is none: then it was not said.
"""

from functools import lru_cache

_FORMS = """
    fuck fucks fucked fucker fuckers fuckin fucking clusterfuck unfuck unfucked fuckup fuckups
    motherfucker motherfuckers motherfucking
    shit shits shitty shittier shittiest shitting shitted shitshow shitload shitloads shitpost shitposting shithole
    bullshit bullshits bullshitting bullshitter horseshit batshit dipshit dipshits
    asshole assholes arsehole arseholes
    bitch bitches bitching bitchy bastard bastards bollocks bellend twat twats wanker wankers wank dickhead dickheads
    cunt cunts piss pissed pissing tits
"""
EXPLICIT_WORDS = frozenset(_FORMS.split())


def is_explicit(word: str) -> bool:
    """Whether a word, in lower case, is strong language, written out or masked with asterisks."""
    return word in EXPLICIT_WORDS or ("*" in word and _is_masked(word))


@lru_cache(maxsize=1_000)
def _is_masked(word: str) -> bool:
    begins, ends = word.split("*")[0], word.rsplit("*")[-1].rstrip("'")
    shown = len(begins) + len(ends)
    return any(one.startswith(begins) and one.endswith(ends) and len(one) > shown for one in EXPLICIT_WORDS)

"""What titles of the real catalogue say, in SQL: an independent reading, for this one catalogue.

It follows the habits of the catalogue: the words that fool a plain search do not stand in it.
"""

from __future__ import annotations

from datetime import date

_SECONDS = "split_part(length, ':', 1)::INT * 60 + split_part(length, ':', 2)::INT"
_ONE_NAME = (
    r"(?i)(Tyler|Earth|Sarah|Japan|K|Crosby|Peter|Bad Cop|quickly|At The End Of Times|Les Bas|Poitiers), "
    r"(The Creator|Wind|the Illst|Man\b|Le Maestro|Stills|Paul and Mary|Bad Cop|quickly|Nothing|Les$|Duc )|, Jr\.$"
)
# Column -> the expression on a row of the catalogue that says the same; DAY is the day.
RECOMPUTED = {
    "title_length_chars": "length(title)::INT",
    "catalogue_age_days": "date_diff('day', first_seen, DAY)::INT",
    "duration_ms": f"1000 * (CASE WHEN contains(length, ':') THEN {_SECONDS} ELSE length::INT END)::BIGINT",
    "artists_count": f"length(split(regexp_replace(artists, '{_ONE_NAME}', '_', 'g'), ', '))::INT",
    "script": r"""
        CASE WHEN regexp_matches(title, '\p{Latin}') THEN 'Latn'
             WHEN regexp_matches(title, '\p{Han}') THEN 'Hani'
             WHEN regexp_matches(title, '\p{Greek}') THEN 'Grek'
             WHEN NOT regexp_matches(title, '\p{L}') THEN 'Zyyy' END""",
    "is_live": r"regexp_matches(title, '(?i)[-(] ?((acoustic|recorded|audiotree) )?live( |$|\))|unplugged, 2012')",
    "is_remaster": "regexp_matches(title, '(?i)remaster')",
    "is_acoustic": "regexp_matches(title, '(?i)acoustic|unplugged|- stripped')",
    "is_instrumental": "regexp_matches(title, '(?i)instrumental')",
    "is_cover": r"regexp_matches(title, '(?i) (cover|tribute)([\") ]*$|\)| - )')",
}
# Column -> where this holds, the flag is set; where it does not, other words of the title may have told.
IMPLIED = {
    "is_remix": r"regexp_matches(title, '(?i)[-([].*\bremix\b')",
    "has_featured_artist": r"""regexp_matches(title, '(?i)[(\[](feat|ft)\. [^"]')""",
}


def recomputed(column: str, day: date) -> str:
    """The expression for a column of a day."""
    return RECOMPUTED[column].replace("DAY", f"DATE '{day}'")

"""Quotes: found in a transcript whatever a model did to their spelling, with the very place; others are not."""

from __future__ import annotations

import html
import random
import re

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from content_signals.llm.grounding import SHORTEST, Evidence, Transcript, quotes_of
from tests.transcripts import TRANSCRIPTS, real_transcripts

TEXT = (
    "**Ana:** She said &quot;we don&#39;t ship on Fridays&quot; &amp; meant it.\n\n"
    "**Bo:**  It’s  the —\tlast ﬁle… of “café” no.\u00a07, a party of two\u200b-hundred."
)

FOUND = [
    # as quoted, as it stands
    ("meant it.", None),
    ("we don't ship on Fridays", "we don&#39;t ship on Fridays"),
    ("we don&#39;t ship on Fridays", "we don&#39;t ship on Fridays"),
    ("we don’t ship on Fridays", "we don&#39;t ship on Fridays"),
    ('said "we don\'t ship', "said &quot;we don&#39;t ship"),
    ("said “we don’t ship", "said &quot;we don&#39;t ship"),
    ("on Fridays\" & meant it", "on Fridays&quot; &amp; meant it"),
    ("on Fridays&quot; &amp; meant it", "on Fridays&quot; &amp; meant it"),
    ("meant it. **Bo:** It's the", "meant it.\n\n**Bo:**  It’s  the"),
    ("It's the - last file... of", "It’s  the —\tlast ﬁle… of"),
    ("last file… of \"café\"", "last ﬁle… of “café"),
    ("of cafe\u0301 no. 7", None),
    ('of "cafe\u0301" no. 7', "of “café” no.\u00a07"),
    ("party of two-hundred", "party of two\u200b-hundred"),
    ("party <\u200bof two", None),
    ("'a party of two-hundred'", "a party of two\u200b-hundred"),
    ("…a party of two-hundred...", "a party of two\u200b-hundred"),
    ("  a party\nof two-hundred ", "a party of two\u200b-hundred"),
    # another letter, case, order or word
    ("We don't ship on Fridays", None),
    ("we do not ship on Fridays", None),
    ("we don't ship on Friday", None),
    ("arty of two-hundred", None),
    ("a party of two-hundre", None),
    ("ast file... of “café”", None),
    ("ile... of “café” no. 7", None),
    ("two-hundred party of a", None),
    ("a party ... two-hundred", None),
    ("a party of two-hundred.  And more", None),
    # too short to prove anything
    ("", None),
    ("   ", None),
    ("a party of", None),
    ('"""""""""""""""', None),
    ("...............", None),
]  # fmt: skip


@pytest.mark.parametrize(("quote", "stands"), FOUND)
def test_a_quote_is_found_where_it_stands_or_not_at_all(quote, stands):
    place = Transcript(TEXT).find(quote)
    assert (TEXT[slice(*place)] if place else None) == stands


DASHES = [
    # the transcript, as quoted, as it stands
    ("We know Go -- and how to ship it.", "know Go—and how to ship", "know Go -- and how to ship"),
    ("We know Go -- and how to ship it.", "know Go — and how to ship", "know Go -- and how to ship"),
    ("We know Go -- and how to ship it.", "know Go - and how to ship", "know Go -- and how to ship"),
    ("We know Go--and how to ship it.", "know Go – and how to ship", "know Go--and how to ship"),
    ("We know Go—and how to ship it.", "know Go -- and how to ship", "know Go—and how to ship"),
    ("We know Go — and how to ship it.", "know Go--and how to ship", "know Go — and how to ship"),
    ("We know Go — and how to ship it.", "know Go - and how to ship", "know Go — and how to ship"),
    ("We know Go –\n– and how to ship it.", "know Go --- and how to ship", "know Go –\n– and how to ship"),
    ("We know Go &mdash; and how to ship it.", "know Go—and how to ship", "know Go &mdash; and how to ship"),
    ("We know Go ⸺ and how to ship it.", "know Go—and how to ship", "know Go ⸺ and how to ship"),
    ("We know Go -\u200b- and how to ship it.", "know Go—and how to ship", "know Go -\u200b- and how to ship"),
    # a quote that begins or ends at the dash
    ("We know Go -- and how to ship it.", "— and how to ship it.", "-- and how to ship it."),
    ("We know Go -- and how to ship it.", "and how to ship it.", "and how to ship it."),
    ("Yes, we do know Go -- and how.", "Yes, we do know Go —", "Yes, we do know Go --"),
    ("Yes, we do know Go -- and how.", "Yes, we do know Go", "Yes, we do know Go"),
    # a dash is neither nothing nor a space, nor are the words beside it anything else
    ("We know Go -- and how to ship it.", "know Go and how to ship", None),
    ("We know Go and how to ship it.", "know Go -- and how to ship", None),
    ("We know Go -- and how to ship it.", "know Go, and how to ship", None),
    ("We know Go -- and how to ship it.", "now Go — and how to ship", None),
    ("We know Go -- and how to ship it.", "know Go — and how to shi", None),
]


@pytest.mark.parametrize(("text", "quote", "stands"), DASHES)
def test_a_dash_is_a_dash_however_it_is_typed(text, quote, stands):
    place = Transcript(text).find(quote)
    assert (text[slice(*place)] if place else None) == stands


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("-" * 40, "-" * 20),
        ("." * 40, "-.-.-.-.-.-.-.-."),
        ("1, 2, 3, 4, 5, 6, 7", "1, 2, 3, 4, 5, 6"),
        ("12:34:56.789, 12:35", "12:34:56.789, 12"),
        ("a, b, c, d, e, 9, 10", "a, b, c, d, e, 9"),
        ("🔥🔥🔥🔥🔥🔥🔥🔥🔥🔥🔥🔥🔥🔥", "🔥🔥🔥🔥🔥🔥🔥🔥🔥🔥🔥🔥"),
    ],
)
def test_what_has_hardly_a_letter_is_no_evidence(text, quote):
    assert Transcript(text).find(quote) is None


@pytest.mark.parametrize(
    "quote", ["a, b, c, d, e, f", "1, 2, 3, all good", "हम बात करेंगे", "私は毎日新しい歌を聴いて", "สวัสดีครับวันนี้"]
)
def test_six_letters_are_enough_in_any_script(quote):
    assert Transcript(f"« {quote} »").find(quote) == (2, 2 + len(quote))


@pytest.mark.parametrize(
    ("text", "quote", "stands"),
    [
        ("we ship \u2764\ufe0f it on Fridays", "ship \u2764 it on Fridays", "ship \u2764\ufe0f it on Fridays"),
        ("we ship \u2764 it on Fridays", "ship \u2764\ufe0f it on Fridays", "ship \u2764 it on Fridays"),
        (
            "辻\U000e0100さんは毎日新しい歌を聴いて",
            "辻さんは毎日新しい歌を聴いて",
            "辻\U000e0100さんは毎日新しい歌を聴いて",
        ),
        ("we ship \u2764\ufe0f it on Fridays", "ship \u2665 it on Fridays", None),
    ],
)
def test_a_variation_of_a_character_is_the_character(text, quote, stands):
    place = Transcript(text).find(quote)
    assert (text[slice(*place)] if place else None) == stands


def test_the_first_of_several_places_is_meant():
    text = "we ship on Mondays. and we ship on Mondays."
    assert Transcript(text).find("we ship on Mondays") == (0, 18)


def test_a_place_within_a_word_is_passed_over():
    assert Transcript("rewe ship on Mondays, we ship on Mondays").find("we ship on Mondays") == (22, 40)


def test_scripts_without_spaces_have_no_words_to_cut():
    text = "私は毎日新しい歌を聴いて過ごしています。"
    assert Transcript(text).find("毎日新しい歌を聴いて過ごし") == (2, 15)


def test_places_are_in_code_points():
    text = "🔥🔥 the fire that never sleeps 🔥"
    assert Transcript(text).find("the fire that never sleeps") == (3, 29)


def test_every_quote_of_an_answer_is_looked_for():
    answer = {
        "topics": [
            {"quote": "the fire that never sleeps", "label": "x"},
            {"quote": "not in there at all", "label": "y"},
        ],
        "summary": {"quote": "never sleeps and goes on", "text": "a quote that is not one"},
        "quote": "goes on for ever",
        "more": {"deep": [[{"quote": 5}, {"quote": "that never sleeps"}]]},
    }
    assert [of for of, _ in quotes_of(answer)] == ["answer", "topics.0", "topics.1", "summary", "more.deep.0.1"]
    found, missing = Transcript("the fire that never sleeps and goes on").evidence(answer)
    assert missing == ["answer", "topics.1"]
    assert found[0] == Evidence("topics.0", "the fire that never sleeps", 0, 26)
    assert [one.of for one in found] == ["topics.0", "summary", "more.deep.0.1"]


words = st.lists(
    st.sampled_from(
        ["don't", "“so”", "café", "ﬁne", "a & b", "x—y", "no.\u00a07", "weiß", "東京", "go", "…and", "<b>", "ǆ"]
    ),
    min_size=3,
    max_size=12,
)
spellings = st.sampled_from(
    [
        lambda text: text,
        html.escape,
        lambda text: html.escape(text, quote=False),
        lambda text: text.replace(" ", "  \n"),
        lambda text: text.replace("'", "’").replace("“", '"').replace("”", '"'),
        lambda text: text.replace("—", "-").replace("…", "..."),
        lambda text: text.replace("—", " -- "),
        lambda text: text.replace("é", "e\u0301").replace("ﬁ", "fi"),
        lambda text: "\u200b".join(text),
    ]
)


@given(before=words, quoted=words, after=words, transcript_spelt=spellings, quote_spelt=spellings)
def test_a_quote_is_found_in_any_two_spellings(before, quoted, after, transcript_spelt, quote_spelt):
    wanted = f"START {' '.join(quoted)} END"
    parts = [transcript_spelt(one) for one in (" ".join(before), " ", wanted, " ", " ".join(after))]
    place = Transcript("".join(parts)).find(quote_spelt(wanted))
    start = len(parts[0] + parts[1])
    assert place is not None
    # An invisible character at an edge belongs to neither side.
    assert abs(place[0] - start) <= 1
    assert abs(place[1] - (start + len(parts[2]))) <= 1


@given(st.text(max_size=300), st.text(max_size=60))
def test_what_is_found_reads_as_what_was_quoted(text, quote):
    """Whatever the two are: what stands at the place is found by itself, and nowhere else than from end to end."""
    place = Transcript(text).find(quote)
    if place:
        stands = text[slice(*place)]
        assert Transcript(stands).find(quote) == (0, len(stands))


@real_transcripts
def test_quotes_of_real_transcripts_are_found_as_a_model_writes_them():
    """Stretches of 100 real transcripts, those with entities among them, as a model may write them.

    That is with entities decoded, quotation marks straightened, lines joined.
    """
    texts = pq.read_table(TRANSCRIPTS, columns=["transcript"]).column(0).to_pylist()
    chance = random.Random(5)
    entities = 0
    for text in [text for text in texts if re.search("&[a-z#0-9]+;", text)] + chance.sample(texts, 60):
        transcript = Transcript(text)
        spaces = [n for n, character in enumerate(text) if character == " "]
        for _ in range(5):
            start = chance.choice(spaces[:-60]) + 1
            end = next(space for space in spaces if space > start + 40)
            stretch = text[start:end]
            entities += "&" in stretch
            said = " ".join(html.unescape(stretch).split()).replace("“", '"').replace("”", '"').replace("’", "'")
            place = transcript.find(said)
            assert place is not None, stretch
            assert " ".join(html.unescape(text[slice(*place)]).split()).strip("\"'. ") == (
                " ".join(html.unescape(stretch).split()).strip("\"'. ")
            )
    assert entities > 10


@real_transcripts
def test_a_quote_of_another_episode_is_hardly_ever_found():
    """Of 200 pairs of real transcripts, with quotes of some 40 characters."""
    texts = pq.read_table(TRANSCRIPTS, columns=["transcript"]).column(0)
    chance = random.Random(6)
    found = 0
    for one, other in zip(*(iter(chance.sample(range(len(texts)), 400)),) * 2, strict=True):
        text = texts[one].as_py()
        start = text.index(" ", chance.randrange(len(text) // 2)) + 1
        found += Transcript(texts[other].as_py()).find(text[start : text.index(" ", start + 40)]) is not None
    assert found <= 2
    assert SHORTEST >= 12

"""Answers about an episode: what the schema cannot say of them is held to all the same."""

from __future__ import annotations

import json

import pytest

from content_signals.llm.schema import Invalid, read_answer
from content_signals.signals.episode_tags_llm.answer import FLAGS, TOPICS, EpisodeTags

SAYS = "we talked about it for an hour"


def answer(topics=("gotime",), flags=(), summary="Talk."):
    return json.dumps(
        {
            "topics": [{"quote": SAYS, "label": label} for label in topics],
            "summary": {"quote": SAYS, "text": summary},
            "audience": {"quote": SAYS, "label": "everyone"},
            "brand_safety": [{"quote": SAYS, "flag": flag} for flag in flags],
        }
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"topics": TOPICS[:3], "flags": FLAGS[:5]},
        {"summary": "Über „Go“ — 東京, 5 Minuten 🎧"},
        {"summary": "x" * 200},
        {"summary": "নমস্কার"},
    ],
)
def test_what_is_good_is_read(changes):
    read = read_answer(answer(**changes), EpisodeTags)
    assert read.model_dump(mode="json") == json.loads(answer(**changes))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"topics": ["gotime", "gotime"]}, "topics: Value error, more than once: gotime"),
        ({"topics": ["gotime", "shipit", "gotime"]}, "topics: Value error, more than once: gotime"),
        ({"flags": ["arms"] * 3}, "brand_safety: Value error, more than once: arms"),
        ({"flags": ["crime", "arms", "crime", "arms"]}, "brand_safety: Value error, more than once: arms, crime"),
        ({"summary": "   "}, "summary.text: Value error, no word"),
        ({"summary": "\u200b\u00a0"}, "summary.text: Value error, no word"),
        ({"summary": "…"}, "summary.text: Value error, no word"),
        ({"summary": "a\nb"}, "summary.text: Value error, a control character, or more than one line"),
        ({"summary": "a\x00b"}, "summary.text: Value error, a control character"),
        ({"summary": "a\x85b"}, "summary.text: Value error, a control character"),
    ],
)
def test_what_is_said_twice_or_says_nothing_is_no_answer(changes, told):
    with pytest.raises(Invalid) as found:
        read_answer(answer(**changes), EpisodeTags)
    assert told in str(found.value)

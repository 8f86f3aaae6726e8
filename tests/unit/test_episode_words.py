"""Words and sentences: cases written by hand, and Unicode's own boundaries as the `regex` package finds them."""

from __future__ import annotations

import time

import pytest
import regex

from content_signals.signals.episode_text.words import sentences, words

WORDS = [
    ("", []),
    ("... -- !?", []),
    ("It's three-part, isn't it?", ["It's", "three", "part", "isn't", "it"]),
    ("Y’all paid $3,000.50 at changelog.com/gotime", ["Y’all", "paid", "3,000.50", "at", "changelog.com", "gotime"]),
    ("wait...what 1,2 a,b", ["wait", "what", "1,2", "a", "b"]),
    ("Größe naïve Ελλάδα Москва", ["Größe", "naïve", "Ελλάδα", "Москва"]),
    ("हिन्दी में", ["हिन्दी", "में"]),  # vowel signs are marks, and stay
    ("می‌خواهم بروم", ["می‌خواهم", "بروم"]),  # a zero-width non-joiner inside the word
    ("صباح الخير، كيف حالك؟", ["صباح", "الخير", "كيف", "حالك"]),  # right to left
    ("שלום לכם", ["שלום", "לכם"]),
    ("안녕하세요 여러분", ["안녕하세요", "여러분"]),  # Korean has spaces
    ("今日は。", ["今", "日", "は"]),  # no spaces: each character counts
    ("ラーメンを食べる", ["ラ", "ー", "メ", "ン", "を", "食", "べ", "る"]),
    ("用Go写代码", ["用", "Go", "写", "代", "码"]),
    ("ที่", ["ที่"]),  # one consonant with its vowel and tone marks
    ("e\u0301te\u0301", ["e\u0301te\u0301"]),
    ("👋 hi 👋", ["hi"]),
]


@pytest.mark.parametrize(("text", "expected"), WORDS)
def test_words(text, expected):
    assert words(text) == expected


SPACED = [text for text, _ in WORDS if not regex.search(r"[\p{Han}\p{Katakana}\p{Thai}]", text)]


@pytest.mark.parametrize("text", SPACED)
def test_words_with_spaces_are_those_of_unicode(text):
    parts = regex.split(r"(?V1w)\b", text)
    assert words(text) == [part for part in parts if regex.search(r"\w", part)]


SENTENCES = [
    # text, its sentences, whether each is a question
    ("Hello. How are you? Fine!", ["Hello.", "How are you?", "Fine!"], [False, True, False]),
    ("And then... you know... It broke.", ["And then... you know...", "It broke."], [False, False]),
    ('"Why?" he said. "Because!" She left.', ['"Why?" he said.', '"Because!"', "She left."], [False, False, False]),
    ("Erik St. Martin met Dr. Who.", ["Erik St. Martin met Dr. Who."], [False]),
    ("Go 1.21 and node.js are out", ["Go 1.21 and node.js are out"], [False]),
    ("Really?! Yes.", ["Really?!", "Yes."], [True, False]),
    ("何ですか？はい。", ["何ですか？", "はい。"], [True, False]),
    ("كيف حالك؟ بخير.", ["كيف حالك؟", "بخير."], [True, False]),
    ("... !? --", [], []),
    ("", [], []),
]


@pytest.mark.parametrize(("text", "expected", "questions"), SENTENCES)
def test_sentences(text, expected, questions):
    found = list(sentences(text))
    assert [sentence.text.strip() for sentence in found] == expected
    assert [sentence.is_question for sentence in found] == questions


def test_sentences_say_where_they_begin():
    text = "  One.  Two? Three"
    assert all(text[one.start :].startswith(one.text) for one in sentences(text))
    assert [one.start for one in sentences(text)] == [0, 8, 13]


@pytest.mark.parametrize("unit", [".", "a", " ", "'", ".a", "。", "[", '"', "a,", "1,", "\u0301", "Dr. ", "? "])
def test_no_text_takes_more_than_linear_time(unit):
    def seconds(characters):
        text = unit * (characters // len(unit)) + "x"
        started = time.process_time()
        list(sentences(text))
        return time.process_time() - started

    assert seconds(200_000) < 10 * max(seconds(50_000), 0.02)

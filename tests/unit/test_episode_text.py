"""The signals of an episode: computed by hand, and by brute force."""

from __future__ import annotations

import random
import time

import nltk
import pytest

from content_signals.signals.episode_text.compute import MOST_CHARACTERS, NOTHING_SAID, signals
from content_signals.signals.episode_text.contract import EPISODE_TEXT_V1
from content_signals.signals.episode_text.explicit_words import EXPLICIT_WORDS
from content_signals.signals.episode_text.measures import language_sample, measure, read_episode
from content_signals.signals.episode_text.readability import stretches

TALK = """**Ada:** The cat sat on the mat. Did it sit there all day?

It did. [Really](https://a.example), it did!

**Bob:** \\[laughs\\] Shit happens.

**Break:** \\[10:15\\]

**Ada:** Our sponsor today is Acme. The dog ran.
"""
# Words: Ada 6 + 6 + 2 + 3, Bob 2, Ada 5 + 3: 27. Sentences: 4, 1, 2. Turns: 3. Different words, in small letters: the
# cat sat on mat did it sit there all day really shit happens our sponsor today is acme dog ran: 21.


def english(texts):
    return ["en"] * len(texts), [1.0] * len(texts)


def unsure(texts):
    return [None] * len(texts), [0.2] * len(texts)


def signals_of(transcript, detect=english):
    (found,) = signals([transcript], detect)
    return found


def test_signals_computed_by_hand():
    found = signals_of(TALK)
    assert set(found) == set(EPISODE_TEXT_V1.values)
    assert found["language"] == "en"
    assert found["word_count"] == 27
    assert found["speakers_count"] == 2
    assert found["largest_speaker_share"] == pytest.approx(25 / 27)
    assert found["questions_ratio"] == pytest.approx(1 / 7)
    assert found["words_per_turn"] == pytest.approx(27 / 3)
    assert found["sponsor_share"] == pytest.approx(5 / 27)
    assert found["explicit_ratio"] == pytest.approx(1 / 27)
    assert found["links_count"] == 1
    assert found["distinct_word_ratio"] == pytest.approx(21 / 27)


def test_readability_is_fleschs_by_hand():
    """12 words of one syllable in 2 sentences."""
    found = signals_of("**Ada:** The cat sat on the mat. The dog ran to the tree.")
    assert found["readability"] == pytest.approx(206.835 - 1.015 * 6 - 84.6 * 1)
    assert found["reading_level"] == pytest.approx(0.39 * 6 + 11.8 * 1 - 15.59)


def test_a_sentence_that_is_cut_off_does_not_go_on_in_the_next_speakers():
    cut = signals_of("**Ada:** The cat sat on the\n\n**Bob:** The dog ran to the tree.")
    whole = signals_of("**Ada:** The cat sat on the.\n\n**Bob:** The dog ran to the tree.")
    assert cut["readability"] == whole["readability"]


def test_without_marks_there_is_nothing_to_read_sentences_by():
    plain = "we go to the shop and then we go home " * 300
    found = signals_of(plain)
    assert (found["language"], found["readability"], found["reading_level"]) == ("en", None, None)
    assert found["sponsor_share"] == 0
    assert signals_of(plain.replace("home we", "home. We"))["readability"] is not None


def test_readability_asks_no_server_for_a_dictionary(monkeypatch):
    def asked(*_args, **_named):
        raise AssertionError("a dictionary was looked for")

    monkeypatch.setattr(nltk.data, "find", asked)
    monkeypatch.setattr(nltk, "download", asked)
    assert signals_of("**Ada:** Nobody hyphenates encyclopedias today.")["readability"] is not None


def test_what_needs_english_is_null_in_any_other_language():
    found = signals_of(TALK, unsure)
    nulls = {"language", "readability", "reading_level", "sponsor_share", "explicit_ratio"}
    assert {name for name, value in found.items() if value is None} == nulls
    found = signals_of("**Ada:** Das ist ein Satz.", lambda texts: (["de"], [0.9]))
    assert (found["language"], found["word_count"], found["readability"]) == ("de", 4, None)


def test_a_code_that_is_no_iso_639_1_is_no_language():
    assert signals_of(TALK, lambda texts: (["unknown"], [0.0]))["language"] is None


def test_without_names_nothing_is_said_of_speakers():
    found = signals_of("Somebody speaks here. Nobody says who.")
    assert (found["word_count"], found["speakers_count"]) == (6, 0)
    assert (found["largest_speaker_share"], found["words_per_turn"]) == (None, None)


def test_one_speaker_says_all():
    found = signals_of("**Ada:** One two three.\n\nFour.")
    assert (found["speakers_count"], found["largest_speaker_share"], found["words_per_turn"]) == (1, 1.0, 4.0)


def test_a_speaker_who_says_nothing_is_none():
    found = signals_of("**Ada:** Hello you.\n\n**Bob:** \\[laughs\\]\n\n**Ada:** Yes.")
    assert (found["speakers_count"], found["words_per_turn"]) == (1, 3.0)


def test_what_a_sound_says_is_words_but_nobodys():
    found = signals_of("**Ada:** One two.\n\n**Extract:** Three four five.\n\n**Bob:** Six.")
    assert (found["word_count"], found["speakers_count"]) == (6, 2)
    assert found["largest_speaker_share"] == pytest.approx(2 / 3)


SILENT = [None, "", "  \n ", "**Ada:** \\[laughs\\]", "... !? --", "**Break:** \\[10:15\\]", "&quot; &#39;", "👋👋"]


@pytest.mark.parametrize("transcript", SILENT)
def test_where_nothing_is_said_there_is_a_reason(transcript):
    assert signals_of(transcript) == {"reason": NOTHING_SAID}


def test_silent_transcripts_leave_the_others_their_languages():
    asked = []

    def detect(texts):
        asked.append(list(texts))
        return [f"{'ab'[n]}{'ab'[n]}" for n in range(len(texts))], [1.0] * len(texts)

    found = signals(["**A:** One.", "", None, "**B:** Two."], detect)
    assert [row.get("language", row.get("reason")) for row in found] == ["aa", NOTHING_SAID, NOTHING_SAID, "bb"]
    assert asked == [["One.", "Two."]]
    assert signals([""], detect) == [{"reason": NOTHING_SAID}]
    assert len(asked) == 1  # nothing to ask about


def test_a_transcript_that_is_too_long_to_be_one_is_set_aside():
    assert f"more than {MOST_CHARACTERS}" in signals_of("a " * (MOST_CHARACTERS // 2 + 1))["reason"]


def test_a_transcript_that_breaks_the_measuring_is_set_aside_alone(monkeypatch):
    from content_signals.signals.episode_text import compute

    def broken(episode, language):
        if language == "xx":
            raise ZeroDivisionError("of this one")
        return measure(episode, language)

    monkeypatch.setattr(compute, "measure", broken)
    found = signals(["**A:** One.", "**B:** Two."], lambda texts: (["xx", "en"], [1.0, 1.0]))
    assert "ZeroDivisionError" in found[0]["reason"]
    assert found[1]["word_count"] == 1


def test_japanese_is_counted_in_characters():
    found = signals_of("**花:** 今日は暑いですね。そうですか？\n\n**太郎:** はい。", lambda texts: (["ja"], [1.0]))
    assert (found["word_count"], found["speakers_count"]) == (8 + 5 + 2, 2)
    assert found["questions_ratio"] == pytest.approx(1 / 3)
    assert found["largest_speaker_share"] == pytest.approx(13 / 15)


def test_arabic_is_counted_in_words():
    found = signals_of("**ليلى:** صباح الخير. كيف حالك؟\n\n**عمر:** بخير.", lambda texts: (["ar"], [1.0]))
    assert (found["word_count"], found["speakers_count"]) == (5, 2)
    assert found["questions_ratio"] == pytest.approx(1 / 3)


def test_distinct_words_are_those_of_all_windows_by_brute_force():
    pick = random.Random(1)
    for length in (1, 20, 499, 500, 501, 700, 1600):
        said = [f"w{pick.randrange(300)}" for _ in range(length)]
        windows = [said[n : n + 500] for n in range(max(length - 499, 1))]
        expected = sum(len(set(window)) / len(window) for window in windows) / len(windows)
        found = signals_of(f"**Ada:** {' '.join(said)}.")
        assert found["distinct_word_ratio"] == pytest.approx(expected), length


def test_the_same_word_is_the_same_however_it_is_written():
    assert signals_of("**Ada:** Don't don’t DON'T.")["distinct_word_ratio"] == pytest.approx(1 / 3)


MASKED = {
    r"s\*\*t": True, r"S\*\*\*t": True, "sh*t": True, "sh***y": True, r"f\*\*\*": True, r"bull\*\*\*\*": True,
    r"f\*\*\*\*n'": True, r"a\*\*hole": True, r"s\*\*tcoin": False, r"\*beep\*": False, r"char\*": False,
    "*.txt foo*": False, "**ship it**": False, "*shut*": False, "5*3": False, r"char\*\*": False,
}  # fmt: skip


@pytest.mark.parametrize(("written", "expected"), MASKED.items())
def test_masked_strong_language(written, expected):
    found = signals_of(f"**Ada:** So {written}, it is.")
    assert (found["explicit_ratio"] > 0) is expected


def test_a_masked_word_is_one_word():
    assert signals_of(r"**Ada:** So s\*\*t, *really* f\*\*\*.")["word_count"] == 4


def test_strong_language_is_whole_words_in_any_case():
    found = signals_of("**Ada:** Bullshit, class, SHIT, Scunthorpe, shitake, fuck's.")
    assert found["explicit_ratio"] == pytest.approx(2 / 6)
    assert all(word == word.lower() and word.isalpha() for word in EXPLICIT_WORDS)


def test_the_language_is_told_by_five_evenly_spaced_stretches():
    text = "".join(f"{n:05d}" for n in range(2_000))
    sample = stretches(text, 5, 2_000)
    assert sample.split() == [text[start : start + 400] for start in (0, 2400, 4800, 7200, 9600)]
    assert stretches(text[:2_000], 5, 2_000) == text[:2_000]
    assert len(language_sample(read_episode("**Ada:** " + "so it is said. " * 100_000))) <= 2_000 + 4


def test_five_million_characters_take_bounded_time():
    pick = random.Random(2)
    vocabulary = ["".join(pick.choices("abcdefghij", k=pick.randrange(2, 9))) for _ in range(5_000)]
    sentence = lambda: " ".join(pick.choices(vocabulary, k=12)).capitalize() + pick.choice(".?!")  # noqa: E731
    turn = " ".join(sentence() for _ in range(40))
    transcript = "\n\n".join(f"**Speaker {n % 7}:** {turn}" for n in range(5_000_000 // (len(turn) + 20)))
    started = time.process_time()
    found = signals_of(transcript)
    assert time.process_time() - started < 60
    assert (found["speakers_count"], found["word_count"]) == (7, 480 * (5_000_000 // (len(turn) + 20)))

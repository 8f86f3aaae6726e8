"""Who speaks in a transcript, and what of what is written is said."""

from __future__ import annotations

import html
import time

import pytest

from content_signals.signals.episode_text.turns import read, spoken
from content_signals.signals.episode_text.words import words

TRANSCRIPT = r"""**Ada Byron:** \[00:01:02.03\] Hello, it&#39;s me. \[laughter\]

And still me, with [a link](https://a.example/x_(y)).

**Charles  Babbage**: Hi!

**Break:** \[20:14\]

**charles babbage:** Back again.

**Jingle**: \[20:16\] to \[20:30\]

Nobody is named here.

**Ada Byron: ** See https://b.example and www.c.example.
"""


def said(transcript):
    return [(p.speaker, p.turn, " ".join(words(p.text))) for p in read(transcript).paragraphs]


def test_paragraphs_belong_to_the_name_before_them_and_a_turn_ends_with_another_one_or_a_sound():
    assert said(TRANSCRIPT) == [
        ("ada byron", 0, "Hello it's me"),
        ("ada byron", 0, "And still me with a link"),
        ("charles babbage", 1, "Hi"),
        ("charles babbage", 2, "Back again"),
        ("", 3, "Nobody is named here"),
        ("ada byron", 4, "See b.example and c.example"),
    ]


PLAIN = """ADAM: Welcome.
Note: this is still Adam.
[00:01:02] Ruth O'Neil-Smith: Hello: it is me.
And still me.
(1:02:03) ADAM: Good.
Ruth O'Neil-Smith (01:04):
Yes.
See https://a.example and we said: no.
Music:
la la
"""


def test_plain_names_are_speakers_where_none_is_bold_and_two_come_twice():
    assert said(PLAIN) == [
        ("adam", 0, "Welcome"),
        ("adam", 0, "Note this is still Adam"),
        ("ruth o'neil-smith", 1, "Hello it is me"),
        ("ruth o'neil-smith", 1, "And still me"),
        ("adam", 2, "Good"),
        ("ruth o'neil-smith", 3, "Yes"),
        ("ruth o'neil-smith", 3, "See a.example and we said no"),
        ("", 4, "la la"),
    ]
    assert {speaker for speaker, *_ in said(f"{PLAIN}**Ada:** One.")} == {"", "ada"}  # bold ones are the notation


@pytest.mark.parametrize(
    ("written", "speakers"),
    [
        ("Note: one.\nNote: two.\nNote: three.", {""}),  # one name alone
        ("Note: one.\nNote: two.\nAdam: three.", {""}),  # the second opens one line
        ("we said: one.\nwe said: two.\nthey said: one.\nthey said: two.", {""}),
        ("Speaker 1: a\nSpeaker 2: b\nSpeaker 1: c\nSpeaker 2: d", {"speaker 1", "speaker 2"}),
        ("Ведущий: да\nГость: нет\nВедущий: да\nГость: нет", {"ведущий", "гость"}),
        ("主持人: 你好\n嘉宾: 你好\n主持人: 是\n嘉宾: 不", {"主持人", "嘉宾"}),
        ("12:30: a\n12:30: b\n12:31: a\n12:31: b", {""}),
        ("Music: a\nMusic: b\nAdam: a\nAdam: b", {""}),  # a sound is nobody, and Adam is alone
        ("", set()),
    ],
)
def test_what_is_no_pair_of_plain_names(written, speakers):
    assert {speaker for speaker, *_ in said(written)} == speakers


@pytest.mark.parametrize(
    "written",
    [
        "**Ada:** One.\n\n**Bob:** Two.\n\n**Ada:** Three.",
        "\ufeff**Ada:** One.\n  **Bob:** Two.\n**Ada:** Three.",
        "__Ada:__ One.\n__Bob__: Two.\n__Ada:__ Three.",
        "**Ada：** One.\n**Bob**： Two.\n**Ada：** Three.",
        "**Ada (00:01:02):** One.\n**Bob - 00:01:05:** Two.\n**[0:02:07] Ada:** Three.",
        "**Ada** (00:01:02): One.\n**Bob** [00:01]: Two.\n**Ada** \\[00:01\\]: Three.",
        "**Ada:** 00:01:02 One.\n00:01:05 **Bob:** Two.\n**Ada:** (01:02) Three.",
        "**Ada:** One.\r**Bob:** Two.\r**Ada:** Three.",
        "**Ada:** One.\u2028**Bob:** Two.\r\n**Ada:** Three.",
        "**A\u200bda:** One.\n**Bob:** Two.\n**Ada:** Three.",
        "<p><b>**Ada:**</b> One.</p>\n<br/>**Bob:** Two.\n**Ada:** <a href='https://a.example/?a=1&amp;b=2'>Three</a>.",
    ],
)
def test_a_label_is_the_same_however_it_is_written(written):
    assert said(written) == [("ada", 0, "One"), ("bob", 1, "Two"), ("ada", 2, "Three")]


def test_one_name_in_two_normal_forms_is_one_speaker():
    assert {speaker for speaker, *_ in said("**José:** One.\n**Jose\u0301:** Two.")} == {"josé"}


SUBTITLES = """WEBVTT - with a title

1
00:00:01.000 --> 00:00:04.000 align:start
Hello, it is
2

2
00:00:04,500 --> 00:00:06,000
us.
"""


def test_times_of_subtitles_and_tags_are_not_said():
    assert [text for *_, text in said(SUBTITLES)] == ["Hello it is", "2", "us"]
    assert [text for *_, text in said("<i class='x'>We said</i> &lt;br&gt; 1 < 2 and 3 > 2.")] == [
        "We said br 1 2 and 3 2"
    ]
    html_text = "<p><b>Hi</b> &amp; <a href='https://a.example/?a=1&amp;b=2'>see</a> &amp; go.</p>"
    decoded = html.unescape(html_text)
    [paragraph] = read(html_text).paragraphs
    for word in ("Hi", "see", "go"):
        assert decoded[paragraph.start :].index(word) == paragraph.text.index(word)
    assert read(html_text).links == 1


def test_who_says_nothing_ends_no_turn():
    assert said("**Ada:** One.\n\n**Bob:** \\[laughs\\]\n\n**Ada:** Two.") == [("ada", 0, "One"), ("ada", 0, "Two")]


def test_links_are_markdown_links_and_written_addresses():
    assert read(TRANSCRIPT).links == 3
    assert read("**A:** linode.com/gotime is said, not linked; \\[this\\] (either)").links == 0


def test_offsets_are_into_the_decoded_transcript():
    decoded = html.unescape(TRANSCRIPT)
    for paragraph in read(TRANSCRIPT).paragraphs:
        there = decoded[paragraph.start : paragraph.start + len(paragraph.text)]
        assert len(there) == len(paragraph.text)
        assert all(one in (other, " ") for one, other in zip(paragraph.text, there, strict=True))


@pytest.mark.parametrize(
    ("line", "speaker"),
    [
        ("**Mireille B. Reece, Psy.D:** Yes.", "mireille b. reece, psy.d"),
        ("**Kris Nova: ** Yes.", "kris nova"),
        ("**Break** :\\[13:05\\] Yes.", ""),
        ("Outro: Yes.", ""),
        ("**Bold** as in print. Yes.", ""),
        ("> **Our Mission**: Yes.", ""),  # a quotation, not a speaker
        ("Note: Yes.", ""),
        ("**:** Yes.", ""),
        ("** **: Yes.", ""),
    ],
)
def test_labels(line, speaker):
    (paragraph,) = read(line).paragraphs
    assert paragraph.speaker == speaker


def test_what_stands_under_an_advertising_label_is_marked():
    found = read("**Ada:** Hi.\n\n**Sponsor:**\n\nBuy tea.\n\nBuy more.\n\n**Ada:** Back.").paragraphs
    assert [paragraph.is_ad for paragraph in found] == [False, True, True, False]


@pytest.mark.parametrize("transcript", ["", " \n\n ", "**Ada:** \\[laughs\\]", "**Break:** \\[20:14\\]"])
def test_what_is_only_written_is_no_paragraph(transcript):
    assert read(transcript).paragraphs == ()


def test_brackets_that_are_no_notes_stay():
    assert words(spoken("a [b] c [d](e) f] g [" + "h" * 200 + "]"))[:5] == ["a", "c", "d", "f", "g"]
    assert len(words(spoken("[" + "h" * 200 + "]"))) == 1  # too long for a note


@pytest.mark.parametrize("unit", ["[", "](", "[a](", "**", "**a", "** ", "&", "&#", "\\[", "(", "[](", "http://"])
def test_no_text_takes_more_than_linear_time(unit):
    def seconds(characters):
        started = time.process_time()
        read(unit * (characters // len(unit)))
        return time.process_time() - started

    assert seconds(200_000) < 10 * max(seconds(50_000), 0.02)

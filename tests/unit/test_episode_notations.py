"""How real transcripts note who speaks: what two modules take for a label, and where they differ, is known."""

from __future__ import annotations

import re
from collections import Counter

import pyarrow.parquet as pq
import pytest

from content_signals.models.spoken import LABEL, spoken
from content_signals.signals.episode_text.turns import read
from tests.transcripts import TRANSCRIPTS, real_transcripts

# Written anew, so that nothing is proved by itself.
COLON_INSIDE = re.compile(r"^\*\*([^*\n]{1,80}):\s*\*\*", re.MULTILINE)
COLON_BEHIND = re.compile(r"^\*\*([^*\n]{0,79}[^*:\n])\*\*\s*:", re.MULTILINE)
BARE = re.compile(r"^[ \t]*([A-ZÀ-Ý][^:\n*\[\](){}<>\"”?!.,;]{0,40}):(?=[ \t]|$)", re.MULTILINE)


@pytest.fixture(scope="module")
def transcripts():
    return pq.read_table(TRANSCRIPTS, columns=["transcript"]).column("transcript").to_pylist()


@pytest.mark.parametrize("line", ["Note: it is late.", "Remember: it is late.", "Adam: it is late."])
def test_a_name_without_asterisks_is_no_label(line):
    assert spoken(line) == line
    assert [paragraph.speaker for paragraph in read(line).paragraphs] == [""]


@real_transcripts
def test_no_real_transcript_notes_its_speakers_without_asterisks(transcripts):
    """One that did would have a name thrice: then there would be something to learn the notation from."""
    found = [Counter(BARE.findall(text)) for text in transcripts]
    assert all(COLON_INSIDE.search(text) for text in transcripts)
    assert max(count for names in found for count in names.values()) == 2
    every = sum(found, Counter())
    assert (every.total(), sum(bool(names) for names in found)) == (33, 25)
    assert sum(every[name] for name in ("Break", "Jingle", "Outro")) == 17


@real_transcripts
def test_what_the_two_modules_disagree_about_is_the_colon_behind_the_asterisks(transcripts):
    inside, behind = (
        Counter(name.lower() for text in transcripts for name in notation.findall(text))
        for notation in (COLON_INSIDE, COLON_BEHIND)
    )
    assert sum(len(LABEL.findall(text)) for text in transcripts) == inside.total() == 186_227
    assert (behind.total(), sum(behind[name] for name in ("break", "jingle", "outro", "song"))) == (478, 470)
    assert spoken("**Break**: \\[10:15\\]\n\nAnd on.") == "Break: And on."
    assert [one.text.strip() for one in read("**Break**: \\[10:15\\]\n\nAnd on.").paragraphs] == ["And on."]

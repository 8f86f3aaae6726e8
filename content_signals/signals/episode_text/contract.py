"""What the transcript of an episode is like: how long, in which language, who speaks how much, how it reads."""

from content_signals.content import Content
from content_signals.contract import Computed, Input, Table
from content_signals.signals.entities import EPISODE

EPISODE_TEXT_V1 = Table(
    name="episode_text",
    version=1,
    entity=EPISODE,
    driver=Input("episode_transcripts_v1"),
    content=Content(id="sha256", reads=("transcript",), revision="2", batch=500),
    columns=(
        Computed("language", "string", about="Language of the transcript, ISO 639-1; null: none is sure enough"),
        Computed("word_count", "int", unit="words", about="Words said; characters in scripts without spaces"),
        Computed("speakers_count", "int", unit="speakers", about="Names that say something; 0: none is named"),
        Computed("largest_speaker_share", "double", about="Share of the words of named speakers that one of them says"),
        Computed("questions_ratio", "double", about="Share of sentences that end in a question mark"),
        Computed("words_per_turn", "double", unit="words", about="Mean length of a named speaker's turn"),
        Computed(
            "readability", "double", about="Flesch reading ease, higher is easier; null: not English, or no sentences"
        ),
        Computed("sponsor_share", "double", about="Share of words in ad reads; null: not English"),
        Computed("explicit_ratio", "double", about="Share of words that are strong language; null: not English"),
        Computed("links_count", "int", unit="links", about="Links and web addresses written in the transcript"),
        Computed("distinct_word_ratio", "double", about="Distinct words among 500 running ones, mean share"),
        Computed(
            "reading_level",
            "double",
            unit="years",
            about="Flesch-Kincaid grade: years of US school; null: as readability",
        ),
    ),
    owner="content-signals",
    about="What the transcript of every episode of the day is like, in numbers.",
)

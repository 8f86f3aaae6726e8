"""The language of titles and of artist lines."""

from content_signals.content import Content
from content_signals.contract import Computed, Input, Table
from content_signals.signals.entities import TRACK

TRACK_LANGUAGE_V1 = Table(
    name="track_language",
    version=1,
    entity=TRACK,
    driver=Input("catalogue_tracks_v1"),
    content=Content(reads=("title", "artists"), revision="lingua 2.1.1, language-1"),
    columns=(
        Computed("language", "string", about="ISO 639-1 code of the title's language; und: the title cannot tell"),
        Computed(
            "language_confidence", "double", about="How likely the best guess of it is, told or not; 0: there is none"
        ),
        Computed(
            "artists_language",
            "string",
            about="The same of the artist line: the language its names are formed in, seldom that of the song",
        ),
        Computed("artists_language_confidence", "double", about="How likely the best guess of it is; 0: there is none"),
    ),
    owner="catalogue-signals",
    about="The language in which the title and the artist line of every track in the catalogue on the day are written.",
)

"""What the title and the artist line of a track say."""

from content_signals.contract import Computed, Input, Table
from content_signals.signals.entities import TRACK

TRACK_TITLE_V1 = Table(
    name="track_title",
    version=1,
    entity=TRACK,
    driver=Input("catalogue_tracks_v1"),
    columns=(
        Computed("is_live", "boolean", about="The title says it is a live recording"),
        Computed(
            "is_remix", "boolean", about="A remix or rework, or an edit or mix named after another artist of the line"
        ),
        Computed("is_remaster", "boolean", about="A remastered release"),
        Computed("is_acoustic", "boolean", about="An acoustic, unplugged or stripped version"),
        Computed("is_instrumental", "boolean", about="An instrumental or karaoke version"),
        Computed("is_cover", "boolean", about="A cover of, or a tribute to, another's song"),
        Computed("has_featured_artist", "boolean", about="The title or the artist line names a guest"),
        Computed("artists_count", "int", unit="artists", about="Names in the artist line, each once"),
        Computed("title_length_chars", "int", unit="characters", about="Code points of the title as released"),
        Computed(
            "script", "string", about="ISO 15924 code of the script of most letters of the title; Zyyy: no letter"
        ),
        Computed(
            "duration_ms", "bigint", unit="ms", about="Length of the track, null when the catalogue's is unreadable"
        ),
        Computed("catalogue_age_days", "int", unit="days", about="Days since the track was first seen"),
    ),
    owner="catalogue-signals",
    about="Facts read from titles and artist lines of every track in the catalogue on the day.",
)

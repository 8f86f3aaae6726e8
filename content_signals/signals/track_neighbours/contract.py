"""Tracks that playlists put together: vectors of tracks, and each track's nearest others."""

from content_signals.contract import Computed, Input, Table
from content_signals.signals.entities import TRACK

# A track that left a playlist counts half as much after so many days, and nothing after so many.
HALF_LIFE_DAYS = 14
WINDOW_DAYS = 56
# A playlist's list stands until it is seen again; one that was not seen for so long counts for nothing.
LIST_DAYS = 7
NEIGHBOURS = 50
DIMENSIONS = 128

TRACK_NEIGHBOURS_V1 = Table(
    name="track_neighbours",
    version=1,
    entity=TRACK,
    driver=Input("playlist_changes_v1", days=WINDOW_DAYS),
    inputs=(Input("playlist_positions_v1", days=LIST_DAYS, where="observed"),),
    columns=(
        Computed("neighbours", "array<string>", about="The 50 tracks with the greatest scores, the best first"),
        Computed(
            "neighbour_scores",
            "array<float>",
            about="Their scores: weight by weight by 1 / size of the playlist, summed over the playlists of both",
        ),
        Computed("neighbours_count", "int", unit="tracks", about="How many there are: 50, or all with a score above 0"),
        Computed("nearest_score", "double", about="Score of the first neighbour, null if there is none"),
        Computed(
            "embedding",
            "array<float>",
            about="Vector of 128 numbers; the scalar product of two tracks' vectors of one day is their score",
        ),
        Computed(
            "embedding_norm", "double", about="Length of the vector: how much, and how lately, playlists hold the track"
        ),
        Computed(
            "playlists_56d", "int", unit="playlists", about="Playlists that hold the track or let it go in 56 days"
        ),
    ),
    owner="catalogue-signals",
    about="Tracks that stand, or stood in the last 56 days, in the same playlists, and how strongly.",
)

"""How a track does in playlists."""

from content_signals.contract import Computed, Input, Table, Windowed
from content_signals.signals.entities import TRACK

CHANGES = Input("playlist_changes_v1")
POSITIONS = Input("playlist_positions_v1", where="observed")
ADDED, REMOVED = "change = 'added'", "change = 'removed'"

TRACK_POPULARITY_V1 = Table(
    name="track_popularity",
    version=1,
    entity=TRACK,
    driver=CHANGES,
    inputs=(POSITIONS,),
    keep_days=28,
    columns=(
        Computed(
            "playlists_count",
            "bigint",
            unit="playlists",
            default=0,
            about="Playlists observed on the day that hold the track",
        ),
        Computed("best_position", "int", about="Smallest position among them, null if none"),
        Computed("mean_position", "double", about="Mean of its best position in each of them, null if none"),
        Windowed(
            "playlists_added_1d",
            op="count",
            of=CHANGES,
            where=ADDED,
            days=1,
            unit="playlists",
            about="Playlists that added it on the day",
        ),
        Windowed(
            "playlists_added_7d",
            op="count",
            of=CHANGES,
            where=ADDED,
            days=7,
            unit="playlists",
            about="Additions in 7 days",
        ),
        Windowed(
            "playlists_added_28d",
            op="count",
            of=CHANGES,
            where=ADDED,
            days=28,
            unit="playlists",
            about="Additions in 28 days",
        ),
        Windowed(
            "playlists_removed_1d",
            op="count",
            of=CHANGES,
            where=REMOVED,
            days=1,
            unit="playlists",
            about="Playlists that removed it on the day",
        ),
        Windowed(
            "playlists_removed_7d",
            op="count",
            of=CHANGES,
            where=REMOVED,
            days=7,
            unit="playlists",
            about="Removals in 7 days",
        ),
        Windowed(
            "playlists_removed_28d",
            op="count",
            of=CHANGES,
            where=REMOVED,
            days=28,
            unit="playlists",
            about="Removals in 28 days",
        ),
        Windowed(
            "distinct_playlists_28d",
            op="distinct",
            of=POSITIONS,
            column="playlist",
            days=28,
            unit="playlists",
            about="Playlists that held it on a day of the last 28 on which they were observed",
        ),
        Windowed(
            "decayed_adds_50d",
            op="count",
            of=CHANGES,
            where=ADDED,
            days=400,
            half_life_days=50,
            about="Additions in 400 days, each weighing half as much after 50 days",
        ),
        Windowed(
            "days_since_added",
            op="days_since",
            of=CHANGES,
            where=ADDED,
            days=400,
            unit="days",
            about="Days since its latest addition, null if none in 400",
        ),
    ),
    owner="catalogue-signals",
    about="Presence and momentum of a track in the playlists observed.",
)

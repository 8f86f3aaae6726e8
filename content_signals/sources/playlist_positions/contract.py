"""Which track stood where in which editorial playlist: one landing file a day."""

from content_signals.contract import Column, Source

PLAYLIST_POSITIONS_V1 = Source(
    name="playlist_positions",
    version=1,
    format="csv",
    landing=("playlists/daily/{day}.csv.gz", "playlists/daily/{day}.csv"),
    columns=(
        Column("playlist", "string", "Name of the playlist"),
        Column("position", "int", "Place of the track, 1 is the top"),
        Column("track_id", "string", "The track"),
        Column(
            "observed", "boolean", "False when a row of this playlist and day was set aside: the day's list has a hole"
        ),
    ),
    key=("playlist", "track_id"),
    owner="catalogue-signals",
    about="Positions of tracks in playlists, as they stood on the day.",
)

"""The catalogue of tracks: one undated file; the table keeps what it said on each day."""

from content_signals.contract import Column, Source

CATALOGUE_TRACKS_V1 = Source(
    name="catalogue_tracks",
    version=1,
    format="parquet",
    landing=("playlists/tracks.parquet",),
    columns=(
        Column("track_id", "string", "The track"),
        Column("title", "string", "Title as released"),
        Column("artists", "string", "Artist line, names separated by ', '"),
        Column("album_id", "string", "The album"),
        Column("length", "string", "Length as m:ss, or bare seconds"),
        Column("first_seen", "date", "First day the track was seen"),
    ),
    key=("track_id",),
    owner="catalogue-signals",
    about="Tracks with first_seen on or before the day.",
)

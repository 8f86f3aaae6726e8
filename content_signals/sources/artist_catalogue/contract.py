"""What artists say of their tracks: one undated file of durations and of labels that people gave."""

from content_signals.contract import Column, Source

ARTIST_CATALOGUE_V1 = Source(
    name="artist_catalogue",
    version=1,
    format="parquet",
    landing=("jamendo/tracks.parquet",),
    columns=(
        Column("track_id", "string", "The track, as this catalogue names it"),
        Column("artist_id", "string", "Its artist"),
        Column("album_id", "string", "The album"),
        Column("duration_s", "double", "Length", unit="s"),
        Column("tags", "array<string>", "Labels by people: genre---, instrument--- and mood/theme---"),
    ),
    key=("track_id",),
    owner="content-signals",
    about="Tracks of artists who publish by themselves, with labels by people, as the file had them on the day.",
)

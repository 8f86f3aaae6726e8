"""Transcripts of podcast episodes: one undated file; the table keeps which text each episode had on each day."""

from content_signals.contract import Column, Source

EPISODE_TRANSCRIPTS_V1 = Source(
    name="episode_transcripts",
    version=1,
    format="parquet",
    landing=("podcasts/transcripts.parquet",),
    columns=(
        Column("episode_id", "string", "The episode"),
        Column("show", "string", "The show it belongs to"),
        Column("sha256", "string", "SHA-256 of the transcript"),
        Column("characters", "int", "Code points of the transcript", unit="characters"),
    ),
    contents=(Column("transcript", "string", "What was said, speakers named as the file has them"),),
    key=("episode_id",),
    owner="content-signals",
    about="Episodes and their transcripts, as they stood on the day; a text is kept once, however many days have it.",
    max_malformed_ratio=1.0,  # an episode without a readable text keeps no other from being read
)

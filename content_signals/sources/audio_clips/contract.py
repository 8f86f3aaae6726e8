"""Sound files in a folder: the table keeps which file had which bytes on each day."""

from content_signals.contract import Column, Source

AUDIO_CLIPS_V1 = Source(
    name="audio_clips",
    version=1,
    format="folder",
    landing=("audio",),
    columns=(
        Column("clip_id", "string", "The file: its path below the folder"),
        Column("path", "string", "Where it lies"),
        Column("bytes", "bigint", "Its size", unit="bytes"),
        Column("modified", "timestamp", "When it was written last"),
        Column("sha256", "string", "SHA-256 of its bytes"),
    ),
    key=("clip_id",),
    owner="content-signals",
    about="Sound files (ogg, wav, flac, mp3), as they lay in the folder on the day.",
    max_malformed_ratio=1.0,  # a file that cannot be read keeps no other from being read
)

"""What listeners did with tracks: one file a day of the events that arrived on it."""

from content_signals.contract import Column, Source

PLAY_EVENTS_V1 = Source(
    name="play_events",
    version=1,
    format="events",
    landing=("events/play_events/{day}.parquet", "events/play_events/{day}.jsonl", "events/play_events/{day}.jsonl.gz"),
    columns=(
        Column("event_id", "string", "The event; together with its track it is counted once a day"),
        Column("kind", "string", "play, skip or save"),
        Column("track_id", "string", "The track"),
        Column("user_id", "bigint", "The listener"),
        Column("ms_played", "bigint", "How long it was heard", unit="ms"),
        Column("event_ts", "timestamp", "When it happened, up to 7 days before the day"),
        Column("ingest_ts", "timestamp", "When it arrived: on the day"),
    ),
    key=("track_id", "event_id"),
    order_by=("ingest_ts",),
    owner="engagement-signals",
    about="Plays, skips and saves, on the day they arrived.",
)

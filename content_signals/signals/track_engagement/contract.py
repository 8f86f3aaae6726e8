"""What listeners do with a track. Every column is declared: there is nothing to compute."""

from content_signals.contract import Input, Table, Windowed
from content_signals.signals.entities import TRACK

EVENTS = Input("play_events_v1")
PLAYED, SKIPPED, SAVED = "kind = 'play'", "kind = 'skip'", "kind = 'save'"
STARTED = "kind IN ('play', 'skip')"
WINDOWS = (1, 7, 28)
EXACT_LISTENERS = 4096  # the standard error above is 1 / sqrt(4096)


def _of_days(days: int) -> tuple[Windowed, ...]:
    """The signals over one window."""
    last = "the day" if days == 1 else f"{days} days"
    return (
        Windowed(
            f"plays_{days}d", op="count", of=EVENTS, where=PLAYED, days=days, unit="plays", about=f"Plays of {last}"
        ),
        Windowed(
            f"skips_{days}d", op="count", of=EVENTS, where=SKIPPED, days=days, unit="skips", about=f"Skips of {last}"
        ),
        Windowed(
            f"skip_ratio_{days}d",
            op="ratio",
            of=EVENTS,
            where=SKIPPED,
            over=STARTED,
            days=days,
            about=f"Skips of {last} by plays and skips, null if there were none",
        ),
        Windowed(
            f"listened_ms_{days}d",
            op="sum",
            of=EVENTS,
            column="ms_played",
            days=days,
            unit="ms",
            about=f"How long it was heard in all, skips included, in {last}",
        ),
        Windowed(
            f"listeners_{days}d",
            op="distinct",
            of=EVENTS,
            column="user_id",
            where=PLAYED,
            days=days,
            exact_to=EXACT_LISTENERS,
            unit="listeners",
            about=f"Different listeners who played it in {last}; estimated above {EXACT_LISTENERS}, give or take 1.6 %",
        ),
        Windowed(
            f"saves_{days}d", op="count", of=EVENTS, where=SAVED, days=days, unit="saves", about=f"Saves of {last}"
        ),
    )


TRACK_ENGAGEMENT_V1 = Table(
    name="track_engagement",
    version=1,
    entity=TRACK,
    driver=EVENTS,
    keep_days=28,
    columns=(
        *(column for days in WINDOWS for column in _of_days(days)),
        Windowed(
            "plays_decayed_50d",
            op="count",
            of=EVENTS,
            where=PLAYED,
            days=400,
            half_life_days=50,
            about="Plays of 400 days, each weighing half as much after 50 days",
        ),
    ),
    owner="engagement-signals",
    about="Plays, skips and saves of a track, by the day they arrived.",
)

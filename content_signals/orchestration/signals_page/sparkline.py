"""Sparklines: 28 days in a few pixels. A day that is missing leaves a gap. Drawn as SVG by `templates/parts.html`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

WIDTH, HEIGHT, MARGIN = 104, 26, 3

Series = Sequence[tuple[date, float | None]]
Point = tuple[float, float]


@dataclass(frozen=True)
class Sparkline:
    """What is drawn, in pixels from the upper left.

    Attributes:
        label: what the drawing shows, in words; for those who do not see it, and for the pointer.
        lines: runs of days that follow each other, each as `x,y x,y …`.
        dots: points with a mark of their own: x, y, and `bad` or `last`.
    """

    label: str
    lines: tuple[str, ...] = ()
    dots: tuple[tuple[float, float, str], ...] = ()
    width: int = WIDTH
    height: int = HEIGHT


def sparkline(
    name: str, series: Series, *, say: Callable[[float], str], floor: float = 1, marked: Collection[date] = ()
) -> Sparkline:
    """The sparkline of a series.

    Args:
        series: every day of the window, oldest first, None where nothing is known.
        say: a value in words.
        floor: the axis goes from 0 to the largest value, at least to this: a tenth of the volume looks like a tenth,
            and a share that moves between 0.1 % and 0.2 % looks like the little it is.
        marked: days with a dot of their own, those that were stopped.

    Returns:
        One without lines where no value is known.
    """
    known = [(day, value) for day, value in series if value is not None]
    if not known:
        return Sparkline(f"{name}: none known yet")
    top = max([floor, *(value for _, value in known)])
    points = [_point(n, len(series), value, top) for n, (_, value) in enumerate(series)]
    dots = tuple(
        (*point, "bad" if day in marked else "last")
        for (day, _), point in zip(series, points, strict=True)
        if point and (day in marked or day == known[-1][0])
    )
    return Sparkline(_label(name, series, [value for _, value in known], say), _lines(points), dots)


def _label(name: str, series: Series, values: Sequence[float], say: Callable[[float], str]) -> str:
    missing = len(series) - len(values)
    gaps = f", {missing} days missing" if missing > 1 else ", 1 day missing" if missing else ""
    return (
        f"{name} from {series[0][0]} to {series[-1][0]}: last {say(values[-1])}, lowest {say(min(values))},"
        f" highest {say(max(values))}{gaps}"
    )


def _point(place: int, count: int, value: float | None, top: float) -> Point | None:
    if value is None:
        return None
    x = MARGIN + place * (WIDTH - 2 * MARGIN) / max(count - 1, 1)
    y = HEIGHT - MARGIN - value / top * (HEIGHT - 2 * MARGIN)
    return round(x, 1), round(y, 1)


def _lines(points: Sequence[Point | None]) -> tuple[str, ...]:
    """Days that follow each other with none missing in between. One alone is a line of no length, drawn as a dot."""
    lines = []
    for there, run in groupby(points, key=lambda point: point is not None):
        if there:
            words = [f"{point[0]},{point[1]}" for point in run if point]
            lines.append(" ".join(words if len(words) > 1 else words * 2))
    return tuple(lines)

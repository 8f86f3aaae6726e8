"""What the Signals page is put together from, without the web."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from content_signals.catalog import catalog
from content_signals.day import days_until_yesterday
from content_signals.orchestration.signals_page.links import DocsLink, SignalsLink, table_and_day
from content_signals.orchestration.signals_page.overview import Overview, overview, share, span
from content_signals.orchestration.signals_page.sparkline import sparkline
from content_signals.orchestration.signals_page.status import TableStatus, Unreadable, read_status
from content_signals.orchestration.signals_page.store import LakeFiles, StatusStore
from content_signals.settings import PROJECT
from tests.status_files import a_day, write_status

POPULARITY, CHANGES, POSITIONS = "track_popularity_v1", "playlist_changes_v1", "playlist_positions_v1"
WEEK = days_until_yesterday(7)
TODAY = WEEK[-1]
STYLE = PROJECT / "content_signals" / "orchestration" / "signals_page" / "static" / "page.css"


def test_age_against_fresh_within() -> None:
    contract = catalog().table(POPULARITY)  # 30 hours: a day is late 30 h after its end, this one 54 h after its own
    status = TableStatus.model_validate({"table": POPULARITY, "days": [a_day(POPULARITY, date(2026, 3, 28))]})

    def at(hours: float) -> Overview:
        return overview(contract, status, datetime(2026, 3, 29, tzinfo=UTC) + timedelta(hours=hours))

    assert at(54).late_by is None
    assert at(54).state == "passed"
    late = at(55)
    assert late.late_by == timedelta(hours=1)
    assert late.state == "late"
    assert late.age == timedelta(hours=55)


def test_an_object_store_is_read_alike(tmp_path: Path) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    fs = MemoryFileSystem()
    write_status(tmp_path, POPULARITY, [a_day(POPULARITY, TODAY)])
    text = (tmp_path / "_status" / f"{POPULARITY}.json").read_bytes()
    fs.pipe(f"/lake-{tmp_path.name}/_status/{POPULARITY}.json", text)
    fs.pipe(f"/lake-{tmp_path.name}/_status/{CHANGES}.json", b"{")
    files = LakeFiles(fs, f"/lake-{tmp_path.name}")
    assert not files.local
    known = StatusStore(lambda: files, [POPULARITY, CHANGES, POSITIONS]).all()
    assert known[POPULARITY] == read_status(text, POPULARITY)
    assert isinstance(known[CHANGES], Unreadable)
    assert POSITIONS not in known
    with pytest.raises(Unreadable, match=r"more than 1$"):
        files.read(f"_status/{POPULARITY}.json", 1)


def test_links_from_a_task(bag: Any) -> None:
    validate = bag.dags[f"build_{POPULARITY}"].get_task("validate")
    ingest = bag.dags["ingest_sources"].get_task(f"{POSITIONS}.ingest")
    assert table_and_day(validate.application_args) == (POPULARITY, ""), "not rendered yet"
    assert {link.name for link in validate.operator_extra_links} == {"Signals", "Data Docs"}
    assert table_and_day(ingest.application_args)[0] == POSITIONS
    words = ["--table", POPULARITY, "--day", str(TODAY), "--run-id", "x"]
    task = type("Task", (), {"application_args": words, "application": "/x/jobs/validate_signals.py"})
    assert SignalsLink().get_link(task, ti_key=None) == f"/plugin/signals/signals/table/{POPULARITY}?day={TODAY}"
    assert DocsLink().get_link(task, ti_key=None) == f"/signals/docs/{POPULARITY}/{TODAY}"
    task.application = "/x/jobs/extract_signals.py"
    assert DocsLink().get_link(task, ti_key=None) == "", "nothing is judged yet"
    task.application_args = ["--tables", "a,b", "--from", "2020-01-01", "--to", "2020-01-02"]
    assert SignalsLink().get_link(task, ti_key=None) == ""


def test_a_sparkline_has_gaps_for_missing_days() -> None:
    days = WEEK[:6]
    values = [10, 20, None, 5, None, 40]
    line = sparkline("x, rows", list(zip(days, values, strict=True)), say=str, marked=[days[3]])
    assert len(line.lines) == 3
    first, alone, _ = line.lines
    assert len(first.split()) == 2
    assert len(set(alone.split())) == 1, "a day alone is a dot"
    assert line.dots[0][2] == "bad"
    assert line.dots[-1][:2] == (line.width - 3, 3), "the largest value is at the top, the newest day at the right"
    assert line.label == f"x, rows from {days[0]} to {days[5]}: last 40, lowest 5, highest 40, 2 days missing"
    assert sparkline("x", [(days[0], None)], say=str).lines == ()


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0 %"), (0.00001, "< 0.01 %"), (0.0012, "0.12 %"), (0.5, "50.0 %"), (1, "100 %"), (None, "–")],
)
def test_a_share_in_words(value: float | None, said: str) -> None:
    assert share(value) == said


@pytest.mark.parametrize(
    ("hours", "said"), [(0.5, "30 min"), (3, "3 h"), (28, "1 d 4 h"), (48, "2 d"), (24 * 9 + 5, "9 d"), (-1, "0 min")]
)
def test_a_time_in_words(hours: float, said: str) -> None:
    assert span(timedelta(hours=hours)) == said


def luminance(colour: str) -> float:
    """As WCAG defines it."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [":root", ":root.dark"])
def test_text_can_be_read_in_either_theme(theme: str) -> None:
    block = re.search(re.escape(theme) + r" \{([^}]*)\}", STYLE.read_text())
    assert block
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", block[1]))
    on_ground = [(name, "ground") for name in ("text", "muted", "link", "good", "warn", "bad", "spark", "dot")]
    on_raised = [(name, "raised") for name in ("text", "muted", "link")]
    badges = [(name, f"{name}-ground") for name in ("good", "warn", "bad")]
    for front, back in (*on_ground, *on_raised, *badges):
        dark, light = sorted((luminance(colours[front]), luminance(colours[back])))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, f"{front} on {back}"

"""The generated landing folder: its formats, what is planted in it, and that one seed gives one folder."""

from __future__ import annotations

import csv
import gzip
import hashlib
from collections import Counter
from datetime import date, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from content_signals.day import day_range
from content_signals.errors import UsageError
from content_signals.local.landing import KINDS, GeneratedLanding, Rates, generate_landing
from content_signals.sources.catalogue_tracks.contract import CATALOGUE_TRACKS_V1
from content_signals.sources.playlist_positions.contract import PLAYLIST_POSITIONS_V1

FIRST = date(2024, 1, 1)
DAYS = day_range(FIRST, FIRST + timedelta(days=29))
HEADER = "date,playlist,position,track_id"


def small(folder: Path, seed: int = 7, **change: object) -> GeneratedLanding:
    arguments: dict[str, object] = {
        "days": DAYS[:6],
        "tracks": 400,
        "playlists": 12,
        "tracks_per_playlist": 20,
    } | change
    return generate_landing(folder, seed=seed, **arguments)  # type: ignore[arg-type]


def text(landing: GeneratedLanding, day: date) -> str:
    return gzip.decompress((landing.folder / f"playlists/daily/{day}.csv.gz").read_bytes()).decode()


def records(landing: GeneratedLanding, day: date) -> list[list[str]]:
    """The rows that parse, as a strict reader sees them."""
    return _parsed(
        landing.folder / f"playlists/daily/{day}.csv.gz", frozenset(row.line for row in landing.malformed[day])
    )


@cache
def _parsed(path: Path, broken: frozenset[int]) -> list[list[str]]:
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()[1:]
    return [row for n, row in enumerate(csv.reader(lines, strict=True), start=2) if n not in broken]


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> GeneratedLanding:
    return generate_landing(tmp_path_factory.mktemp("landing"), days=DAYS, seed=1, tracks_per_playlist=50)


def test_one_seed_one_folder(tmp_path: Path) -> None:
    first, second = small(tmp_path / "a"), small(tmp_path / "b")
    assert digest(first.folder) == digest(second.folder)
    assert (first.rows, first.malformed, first.missing_days) == (second.rows, second.malformed, second.missing_days)
    assert digest(small(tmp_path / "c", seed=8).folder) != digest(first.folder)


def test_files_lie_where_the_contracts_look(month: GeneratedLanding) -> None:
    catalogue = month.folder / CATALOGUE_TRACKS_V1.landing[0]
    assert catalogue.exists()
    for day in month.days:
        assert (month.folder / PLAYLIST_POSITIONS_V1.landing[0].format(day=day)).exists()
    assert len(digest(month.folder)) == 1 + len(month.days)


def test_catalogue_has_the_columns_of_its_contract(month: GeneratedLanding) -> None:
    table = pq.read_table(month.folder / "playlists/tracks.parquet")
    assert table.column_names == [column.name for column in CATALOGUE_TRACKS_V1.columns]
    assert [str(field.type) for field in table.schema] == ["string"] * 5 + ["date32[day]"]
    assert table.num_rows == month.tracks == 5000
    assert len(set(table["track_id"].to_pylist())) == 5000
    assert all(column.null_count == 0 for column in table.columns)


def test_catalogue_titles_are_multilingual_with_markers_and_guests(month: GeneratedLanding) -> None:
    table = pq.read_table(month.folder / "playlists/tracks.parquet")
    titles = "\n".join(table["title"].to_pylist())
    for sign in (
        " Remix",
        "feat. ",
        "(with ",
        "Ao Vivo",
        "En Vivo",
        "ライブ",
        "现场",
        "Ремикс",
        "어쿠스틱",
        "لايف",
        "रीमिक्स",
    ):
        assert sign in titles, sign
    with_remix = sum(" Remix" in title for title in table["title"].to_pylist())
    assert 0.02 < with_remix / 5000 < 0.04


def test_lengths_are_minutes_and_seconds_or_bare_seconds(month: GeneratedLanding) -> None:
    lengths = pq.read_table(month.folder / "playlists/tracks.parquet")["length"].to_pylist()
    bare = [length for length in lengths if ":" not in length]
    assert bare
    assert all(30 < int(length) < 60 for length in bare)
    assert all(0 <= int(length.split(":")[1]) < 60 for length in lengths if ":" in length)


def test_header_and_rows(month: GeneratedLanding) -> None:
    for day in month.days:
        lines = text(month, day).splitlines()
        assert lines[0] == HEADER
        assert len(lines) - 1 == month.rows[day]
        for row in records(month, day):
            written, playlist, position, track_id = row
            assert written == day.isoformat()
            assert playlist
            assert int(position) >= 1
            assert len(track_id) == 22


def test_tracks_are_known_and_not_seen_before_their_first_day(month: GeneratedLanding) -> None:
    table = pq.read_table(month.folder / "playlists/tracks.parquet")
    first_seen = dict(zip(table["track_id"].to_pylist(), table["first_seen"].to_pylist(), strict=True))
    assert any(seen > FIRST for seen in first_seen.values())
    assert max(first_seen.values()) <= DAYS[-1]
    for day in month.days:
        assert all(first_seen[row[3]] <= day for row in records(month, day))


def test_positions_of_a_playlist_have_no_hole_but_its_malformed_rows(month: GeneratedLanding) -> None:
    day = month.days[0]
    broken = {row.playlist for row in month.malformed[day]}
    positions: dict[str, set[int]] = {}
    for _, playlist, position, _ in records(month, day):
        positions.setdefault(playlist, set()).add(int(position))
    assert all(seen == set(range(1, max(seen) + 1)) for playlist, seen in positions.items() if playlist not in broken)


def test_exact_duplicates_are_those_stated(month: GeneratedLanding) -> None:
    for day in month.days:
        copies = sum(n - 1 for n in Counter(tuple(row) for row in records(month, day)).values())
        assert copies == month.duplicates[day]
    share = sum(month.duplicates.values()) / sum(month.rows.values())
    assert share == pytest.approx(0.002, rel=0.1)


def test_malformed_rows_are_those_stated(month: GeneratedLanding) -> None:
    seen = Counter[str]()
    for day in month.days:
        lines = text(month, day).splitlines()
        for row in month.malformed[day]:
            assert lines[row.line - 1] == row.text
            assert row.playlist in next(csv.reader([row.text]))
            seen[row.kind] += 1
        assert len(month.malformed[day]) < 0.01 * month.rows[day]
    assert set(seen) == set(KINDS)
    assert seen.total() / sum(month.rows.values()) == pytest.approx(0.0005, rel=0.25)


def test_each_malformed_row_is_wrong_in_the_stated_way(month: GeneratedLanding) -> None:
    for day in month.days:
        for row in month.malformed[day]:
            values = next(csv.reader([row.text]))
            written, _, position, *track_id = values
            assert {
                "position not an integer": position.endswith(".5"),
                "position below 1": position == "0",
                "empty track_id": track_id == [""],
                "date of another day": written != day.isoformat(),
                "field missing": len(values) == 3,
            } == {kind: kind == row.kind for kind in KINDS}


def test_malformed_rows_stay_below_one_percent_of_a_small_file(tmp_path: Path) -> None:
    landing = small(tmp_path, rates=Rates(malformed=0.0099))
    assert sum(map(len, landing.malformed.values())) > 0
    assert all(len(rows) < 0.01 * landing.rows[day] for day, rows in landing.malformed.items())


def test_one_day_in_thirty_is_missing_from_the_middle(month: GeneratedLanding) -> None:
    (missing,) = month.missing_days
    assert DAYS[10] < missing < DAYS[20]
    assert month.days == tuple(day for day in DAYS if day != missing)


def test_missing_days_follow_their_rate_and_spare_both_ends(tmp_path: Path) -> None:
    landing = small(tmp_path, days=DAYS[:10], rates=Rates(missing_day=0.3))
    assert len(landing.missing_days) == 3
    assert {DAYS[0], DAYS[9]} <= set(landing.days)
    assert small(tmp_path, days=DAYS[:2], rates=Rates(missing_day=1)).missing_days == ()


def test_a_missing_day_leaves_no_file_of_an_earlier_call(tmp_path: Path) -> None:
    small(tmp_path, days=DAYS[:10], rates=Rates(missing_day=0))
    landing = small(tmp_path, days=DAYS[:10], rates=Rates(missing_day=0.1))
    (missing,) = landing.missing_days
    assert not (tmp_path / f"playlists/daily/{missing}.csv.gz").exists()


def test_absent_playlists_are_those_stated(month: GeneratedLanding) -> None:
    names = {row[1] for day in month.days for row in records(month, day)}
    assert len(names) == 60
    for day in month.days:
        present = {row[1] for row in csv.reader(text(month, day).splitlines()[1:])}
        assert names - present == set(month.absent[day])
    assert 0.002 < sum(map(len, month.absent.values())) / (60 * len(month.days)) < 0.03


def test_tracks_standing_twice_are_those_stated(month: GeneratedLanding) -> None:
    for day in month.days:
        distinct = {tuple(row) for row in records(month, day)}
        twice = sum(n - 1 for n in Counter((row[1], row[3]) for row in distinct).values())
        # One of the two may be malformed, and is not read then.
        assert month.repeats[day] - len(month.malformed[day]) <= twice <= month.repeats[day]
    assert sum(month.repeats.values()) > 0


def test_playlists_change_at_the_stated_rates(month: GeneratedLanding) -> None:
    held: dict[date, dict[str, set[str]]] = {}
    for day in month.days:
        held[day] = {}
        broken = {row.playlist for row in month.malformed[day]}
        for _, playlist, _, track_id in records(month, day):
            if playlist not in broken:
                held[day].setdefault(playlist, set()).add(track_id)
    changed, added, removed, before = [], 0, 0, 0
    for one, next_one in pairwise(month.days):
        if next_one - one > timedelta(days=1):
            continue
        for playlist in held[one].keys() & held[next_one].keys():
            old, new = held[one][playlist], held[next_one][playlist]
            changed.append(old != new)
            added, removed, before = added + len(new - old), removed + len(old - new), before + len(old)
    assert sum(changed) / len(changed) == pytest.approx(0.45, rel=0.1)
    assert added / before == pytest.approx(0.45 * 0.09, rel=0.15)
    assert removed / before == pytest.approx(0.45 * 0.09, rel=0.15)


def test_popularity_is_zipf_like(month: GeneratedLanding) -> None:
    held = Counter(row[3] for row in records(month, month.days[0]))
    counts = sorted(held.values(), reverse=True)
    assert counts[0] > 20
    top_tenth = sum(counts[: len(counts) // 10]) / sum(counts)
    assert 0.25 < top_tenth < 0.7
    assert sum(n == 1 for n in counts) > len(counts) / 3


def test_playlist_names_trip_a_careless_parser(month: GeneratedLanding) -> None:
    names = {row[1] for day in month.days for row in records(month, day)}
    assert any("," in name for name in names)
    assert any('"' in name for name in names)
    assert any(name.endswith("\\") for name in names)
    assert any(not name.isascii() and name.strip() == name for name in names)
    assert not any("\n" in name for name in names)


def test_quotes_are_doubled_as_rfc_4180_says(tmp_path: Path) -> None:
    landing = small(tmp_path)
    assert ',"The ""Big"" Room",' in text(landing, landing.days[0])


def test_more_playlists_leave_the_catalogue_as_it_was(tmp_path: Path) -> None:
    one, other = small(tmp_path / "a"), small(tmp_path / "b", playlists=13)
    path = "playlists/tracks.parquet"
    assert (one.folder / path).read_bytes() == (other.folder / path).read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"days": []}, "no days"),
        ({"tracks": 40}, "do not fill"),
        ({"playlists": 0}, "do not fill"),
    ],
)
def test_impossible_requests_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        small(tmp_path, **change)


@pytest.mark.parametrize("rate", [{"malformed": 0.01}, {"duplicate": -0.1}, {"absent": 1.5}])
def test_impossible_rates_are_refused(rate: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(rate))):
        Rates(**rate)

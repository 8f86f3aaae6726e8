"""How good neighbours of tracks are at foreseeing next week's additions to playlists, and what they cost.

    .venv/jobs/bin/python -m benchmarks.track_neighbours --landing DIR --write

Real playlists. Rules of weights were chosen on days up to 2020-05-07 (`--tune` shows them), whose weeks end before the
first of the days that are judged. Vectors and neighbours of the judged days are those that the family's `compute` makes
of what had landed by then. Cost is CPU seconds of Spark and its Python workers together, on one core, for a day built
after another; what starting takes is not in it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse

from benchmarks.additions import (
    Archive,
    Questions,
    Ranking,
    Scores,
    Values,
    by_items,
    by_vectors,
    cooccurrence,
    judged,
    mean_of,
    own_past,
    popularity,
    questions,
    top,
    vectors,
)
from benchmarks.measured import PACKAGE, tell
from benchmarks.sides import machine
from content_signals.signals.track_neighbours.contract import (
    DIMENSIONS,
    HALF_LIFE_DAYS,
    LIST_DAYS,
    NEIGHBOURS,
    WINDOW_DAYS,
)

COMMAND = "python -m benchmarks.track_neighbours --landing DIR --write"
MEASURED = PACKAGE / "signals" / "track_neighbours" / "measured.json"
TUNED = tuple(date(2020, 4, 5) + timedelta(4 * n) for n in range(9))
JUDGED = (*(date(2020, 5, 20) + timedelta(7 * n) for n in range(5)), date(2020, 6, 23))
POPULAR = "popularity: additions in 7 days"
RAW = "raw co-occurrence, 28 days"
LISTS, VECTORS = "the 50 neighbours", "the vectors"


class Lake:
    """Spark on one core, with the positions and changes of an archive as the platform's tables have them."""

    def __init__(self, archive: Archive, folder: Path) -> None:
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        os.environ["PYSPARK_SUBMIT_ARGS"] = "--properties-file conf/spark.conf --master local[1] pyspark-shell"
        from content_signals.lake.session import spark_session
        from content_signals.signals.playlist_changes.compute import compute

        self.spark = spark_session("benchmark of track_neighbours")
        table = archive.table.rename_columns(["ds", "playlist", "position", "track_id"])
        pq.write_table(table, folder / "positions.parquet")
        self.positions = self.spark.read.parquet(str(folder / "positions.parquet"))
        changes = compute({"playlist_positions_v1": self.positions}, sorted(archive.held))
        changes.write.parquet(str(folder / "changes"))
        self.changes = self.spark.read.parquet(str(folder / "changes"))
        self.folder = folder

    def build(self, day: date) -> tuple[pa.Table, float]:
        """A day of the family, and the CPU seconds it took."""
        from pyspark.sql import functions as F

        from content_signals.signals.track_neighbours.compute import CHANGES, POSITIONS, compute

        def reach(days: int) -> Any:
            return F.col("ds").between(day - timedelta(days - 1), day)

        inputs = {POSITIONS: self.positions.where(reach(LIST_DAYS)), CHANGES: self.changes.where(reach(WINDOW_DAYS))}
        before = cpu_seconds()
        compute(inputs, [day]).write.mode("overwrite").parquet(str(self.folder / "built"))
        return pq.read_table(self.folder / "built").sort_by("track_id"), cpu_seconds() - before


def cpu_seconds() -> float:
    """CPU seconds of the processes this one has started, the JVM and its workers, those that have ended included."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        times = process.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return total


@dataclass(frozen=True)
class Built:
    """A day as the family made it, by the archive's numbers of tracks."""

    rows: int
    lists: sparse.csr_array
    vectors: Scores

    @classmethod
    def of(cls, table: pa.Table, archive: Archive) -> Built:
        """Of the columns of the contract."""
        number = {track: n for n, track in enumerate(archive.tracks)}
        own = np.array([number[track] for track in table["track_id"].to_pylist()])
        counts = table["neighbours_count"].to_numpy()
        columns = [number[track] for track in table["neighbours"].combine_chunks().flatten().to_pylist()]
        scores = table["neighbour_scores"].combine_chunks().flatten().to_numpy()
        shape = (len(number), len(number))
        lists = sparse.csr_array((scores.astype(np.float64), (np.repeat(own, counts), columns)), shape)
        vectors_ = np.zeros((len(number), DIMENSIONS))
        vectors_[own] = table["embedding"].combine_chunks().flatten().to_numpy().reshape(len(own), -1)
        return cls(len(own), lists, vectors_)


def baselines(archive: Archive, day: date) -> dict[str, Ranking]:
    """What the family is compared with."""
    raw = {days: cooccurrence(archive, day, days) for days in (28, WINDOW_DAYS)}
    return {
        "popularity: playlists that hold it": popularity(archive, day),
        POPULAR: popularity(archive, day, added_days=7),
        "what the playlist itself held, latest first": own_past(archive, day),
        RAW: by_items(raw[28]),
        f"raw co-occurrence, {WINDOW_DAYS} days": by_items(raw[WINDOW_DAYS]),
        "raw co-occurrence, 28 days, the 50 greatest": by_items(top(raw[28])),
    }


def variants(archive: Archive, day: date) -> dict[str, Ranking]:
    """The same with one thing changed, by a library's decomposition."""
    weights = archive.decayed(day, WINDOW_DAYS, HALF_LIFE_DAYS)
    unweighted = weights.copy()
    unweighted.data[:] = 1
    found = {f"vectors of {n} dimensions": by_vectors(vectors(weights, n)) for n in (16, 32, 64)}
    found["vectors without decay"] = by_vectors(vectors(unweighted, DIMENSIONS))
    for half_life in (7, 28):
        other = archive.decayed(day, WINDOW_DAYS, half_life)
        found[f"vectors, half-life {half_life} days"] = by_vectors(vectors(other, DIMENSIONS))
    for power in (0.0, 1.0):
        found[f"vectors, size to the power {2 * power:g}"] = by_vectors(vectors(weights, DIMENSIONS, power))
    whole = vectors(weights, DIMENSIONS)
    lengths = np.linalg.norm(whole, axis=1, keepdims=True)
    found["vectors made unit length (cosine)"] = by_vectors(whole / np.where(lengths > 0, lengths, 1))
    return found


Judged = dict[str, dict[str, list[Values]]]  # ranking -> measure -> days


def judge(asked: Questions, rankings: Mapping[str, Ranking], into: Judged) -> None:
    """Judge a day's rankings, and keep what was found."""
    for name, ranking in rankings.items():
        for measure, values in judged(asked, ranking(asked)).items():
            into.setdefault(name, {}).setdefault(measure, []).append(values)


def told(found: Judged, on: str, against: Sequence[str] = ()) -> list[dict[str, str]]:
    """Lines of measured.json: each ranking's measures, then the differences to some."""
    lines = []
    for name, measures in found.items():
        values = f"recall@50 {mean_of(measures['recall'])}, NDCG@50 {mean_of(measures['ndcg'])}"
        lines.append({"what": name, "value": values, "on": on})
    for name in (LISTS, VECTORS):
        for other in against if name in found else ():
            recall, ndcg = (mean_of(found[name][m], found[other][m]) for m in ("recall", "ndcg"))
            lines.append({"what": f"{name} minus {other}", "value": f"recall@50 {recall}, NDCG@50 {ndcg}", "on": on})
    return lines


def drift(one: Built, two: Built) -> float:
    """Mean cosine of the two days' vectors of a track, over the tracks of both."""
    lengths = np.linalg.norm(one.vectors, axis=1) * np.linalg.norm(two.vectors, axis=1)
    both = lengths > 0
    return float(((one.vectors * two.vectors).sum(axis=1)[both] / lengths[both]).mean())


def main() -> None:
    """Measure, print, and with --write keep it beside the family."""
    parser = argparse.ArgumentParser(description="Quality and cost of neighbours of tracks.")
    parser.add_argument("--landing", type=Path, required=True, help="folder with playlists/daily/DAY.csv.gz")
    parser.add_argument("--tune", action="store_true", help="judge variants on the earlier days instead")
    parser.add_argument("--write", action="store_true", help="write measured.json")
    given = parser.parse_args()
    archive = Archive.read(given.landing / "playlists" / "daily")
    if given.tune:
        tune(archive)
        return
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(archive, Lake(archive, Path(folder)))
    tell(measured, MEASURED if given.write else None)


def tune(archive: Archive) -> None:
    """Print what every variant is worth on the days that rules were chosen on."""
    for first, name in ((False, "all additions"), (True, "first additions")):
        found: Judged = {}
        for day in (day for day in TUNED if day in archive.held):
            of_day = {**baselines(archive, day), **variants(archive, day)}
            whole = vectors(archive.decayed(day, WINDOW_DAYS, HALF_LIFE_DAYS), DIMENSIONS)
            judge(questions(archive, day, first=first), {VECTORS: by_vectors(whole), **of_day}, found)
        for line in told(found, name):
            print(f"{line['on']}: {line['what']}: {line['value']}", flush=True)


def measure(archive: Archive, lake: Lake) -> dict[str, Any]:
    """Build the judged days, judge them, and tell."""
    lake.build(JUDGED[0] - timedelta(7))  # the first is slow: classes are loaded, code is compiled
    all_, first = Judged(), Judged()
    shares, seconds, rows = [], 0.0, 0
    builds: list[Built] = []
    for day in JUDGED:
        table, spent = lake.build(day)
        built = Built.of(table, archive)
        builds.append(built)
        seconds, rows = seconds + spent, rows + built.rows
        rankings = {LISTS: by_items(built.lists), VECTORS: by_vectors(built.vectors), **baselines(archive, day)}
        asked = questions(archive, day, first=False)
        judge(asked, rankings, all_)
        judge(questions(archive, day, first=True), rankings, first)
        shares.append((asked.unknown, asked.returns))
        print(f"{day}: {built.rows} tracks, {spent:.1f} CPU seconds", flush=True)
    next_day = Built.of(lake.build(JUDGED[0] + timedelta(2))[0], archive)
    kept = drift(builds[0], next_day)
    unknown, returns = np.mean(shares, axis=0)
    days = f"{len(JUDGED)} weeks from {JUDGED[0]}"
    asked_ = {kind: sum(map(len, found[RAW]["recall"])) for kind, found in (("all", all_), ("first", first))}
    quality = [
        {"what": "additions of tracks that no playlist held before, left out", "value": f"{unknown:.0%}", "on": days},
        {"what": "of the others, returns to a playlist that held the track", "value": f"{returns:.0%}", "on": days},
        *told(all_, f"all additions: {asked_['all']} playlists and weeks, {days}", (POPULAR, RAW)),
        *told(first, f"first additions: {asked_['first']} playlists and weeks, {days}", (POPULAR, RAW)),
        {"what": "mean cosine of a track's vector with that of two days later", "value": f"{kept:.3f}",
         "on": f"{JUDGED[0]}"},
    ]  # fmt: skip
    lists = sum(int((np.diff(built.lists.indptr) >= NEIGHBOURS).sum()) for built in builds)
    quality.append({"what": "tracks with 50 neighbours", "value": f"{lists / rows:.1%}", "on": days})
    per_second = rows / seconds
    return {
        "command": COMMAND,
        "machine": machine(),
        "quality": quality,
        "cost": {
            "rows_per_cpu_second": round(per_second, 1),
            "core_hours_per_100_million": round(1e8 / per_second / 3600),
            "cpu_seconds_a_day": round(seconds / len(JUDGED), 1),
        },
    }


if __name__ == "__main__":
    main()

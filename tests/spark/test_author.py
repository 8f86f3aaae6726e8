"""The author's loop: `new` writes a family that works; `try` builds a day beside the lake."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from content_signals.errors import UsageError
from content_signals.inspection.scaffold import write_family
from content_signals.inspection.trials import trial_record
from content_signals.pipeline.ingest import ingest
from content_signals.pipeline.trial import try_day
from content_signals.settings import PROJECT
from tests.landing import held, write_catalogue, write_positions

DAY = date(2020, 3, 1)


def test_a_new_family_is_found_and_its_golden_rows_hold(tmp_path, spark):
    shutil.copytree(PROJECT / "content_signals", tmp_path / "content_signals")
    paths = write_family("track_mood", root=tmp_path)
    assert {str(p) for p in paths} == {
        "content_signals/signals/track_mood/__init__.py",
        "content_signals/signals/track_mood/contract.py",
        "content_signals/signals/track_mood/compute.py",
        "expectations/track_mood_v1.json",
        "tests/spark/test_track_mood.py",
    }
    columns = "from content_signals.catalog import catalog; print(catalog().table('track_mood').columns)"
    found = subprocess.run(
        [sys.executable, "-c", columns],
        cwd=tmp_path, env={"PYTHONPATH": str(tmp_path), "PATH": ""}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "title_words_count" in found.stdout
    module: dict[str, object] = {}
    compute = (tmp_path / "content_signals/signals/track_mood/compute.py").read_text()
    exec(compile(compute, "compute.py", "exec"), module)
    tracks = spark.createDataFrame(
        [(DAY, "a", " Two  Words "), (DAY, "b", "")], "ds date, track_id string, title string"
    )
    rows = module["compute"]({"catalogue_tracks_v1": tracks}, [DAY]).collect()
    assert {(row.track_id, row.title_words_count) for row in rows} == {("a", 2), ("b", 0)}


def test_nothing_is_written_over(tmp_path):
    write_family("track_mood", root=tmp_path)
    with pytest.raises(UsageError, match="is there already"):
        write_family("track_mood", root=tmp_path)
    write_family("track_mood", root=tmp_path, force=True)


@pytest.mark.parametrize("name", ["Track", "track mood", "class", "1track", "track_mood_v2", "../x"])
def test_a_name_that_is_no_package_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="is not a family name"):
        write_family(name, root=tmp_path)


@pytest.fixture
def built(context, spark, new_run):
    from tests.spark.test_pipeline import build

    landing = Path(context.settings.landing)
    write_positions(landing, DAY, held(DAY, {"P": "abc", "Q": "ax"}))
    write_catalogue(landing, [("a", "Blue (Live)", "X", "al", "3:10", DAY)])
    for source in map(context.catalog.source, ("playlist_positions", "catalogue_tracks")):
        ingest(context, spark, source, [DAY])
    build(context, spark, [DAY])
    return context


def files(context) -> set[str]:
    return {str(path) for path in Path(context.settings.lake).rglob("*") if path.is_file()}


def test_try_compares_with_what_is_live_and_leaves_the_lake_alone(built, spark, new_run):
    before = files(built)
    trial = try_day(new_run(built), spark, built.catalog.table("track_popularity"), DAY, sample=False)
    assert files(built) == before
    assert (trial.rows, trial.verdict.outcome) == (4, "passed")
    assert (trial.difference.live_rows, trial.difference.added, trial.difference.removed, trial.difference.changed) == (
        4,
        0,
        0,
        {},
    )
    assert trial_record(trial)["values_changed"] == "none"


def test_try_of_a_day_that_is_not_live(built, spark, new_run):
    trial = try_day(new_run(built), spark, built.catalog.table("track_title"), DAY, sample=False)
    assert (trial.rows, trial.difference) == (1, None)
    assert trial.examples[0]["is_live"] is True

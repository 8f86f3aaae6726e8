"""The last clip of a folder goes: it is gone online too, once the folder says that it is empty and somebody agrees."""

from __future__ import annotations

import math
import tempfile
import wave
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from deltalake import DeltaTable

from content_signals.catalog import catalog
from content_signals.errors import NotLanded
from content_signals.lake.layout import Lake, start_run
from content_signals.lake.snapshot import Snapshot
from content_signals.pipeline.context import Context
from content_signals.pipeline.extract import extract
from content_signals.pipeline.ingest import ingest
from content_signals.pipeline.promotion import LetThrough, promote_days
from content_signals.pipeline.publish import publish
from content_signals.pipeline.validate import validate
from tests.online import online
from tests.settings import settings_in
from tests.stores import running_store

DAY = date(2020, 3, 1)
NEXT = DAY + timedelta(days=1)
SOURCE, TABLE = catalog().source("audio_clips_v1"), catalog().table("audio_clip_v1")


@pytest.fixture
def platform():
    with tempfile.TemporaryDirectory(prefix="cs-empty-") as name:  # a socket's path must be short
        settings = settings_in(Path(name))
        with running_store(settings):
            yield Context(settings, Lake(settings.lake), catalog(), start_run(), lambda _: None)


def write_sound(path: Path) -> None:
    """Two seconds of a tone that comes and goes twice a second."""
    at = np.arange(2 * 16_000) / 16_000
    samples = np.sin(math.tau * 440 * at) * (0.3 + 0.3 * np.sign(np.sin(math.tau * 2 * at)))
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((samples * 32_000).astype("<i2").tobytes())


def clips(context, day):
    rows = DeltaTable(context.lake.of(SOURCE).path).to_pyarrow_dataset().to_table().to_pylist()
    return {row["clip_id"] for row in rows if row["ds"] == day}


def built(context, spark, day, decision=None):
    """A day of the signals, extracted, judged, promoted and published; its verdict."""
    run = replace(context, run=start_run())
    extract(run, spark, TABLE, [day])
    verdict = validate(run, spark, TABLE, [day], run.run.run_id).verdicts[day]
    promoted = promote_days(run, TABLE, [day], run.run.run_id, decision)
    if promoted.exit_code == 0:
        publish(replace(context, run=start_run()), spark, TABLE, [day])
    return verdict, promoted.exit_code


def test_the_last_clip_is_gone_once_the_folder_says_so(platform, spark):
    def taken(day):
        return ingest(replace(platform, run=start_run()), spark, SOURCE, [day])

    folder = Path(platform.settings.landing) / "audio"
    write_sound(folder / "a.wav")
    assert taken(DAY).exit_code == 0
    assert built(platform, spark, DAY)[1] == 0

    def duration_at(moment):
        return online(platform.settings, "audio_clip", ["a.wav"], moment)["a.wav"]["audio_clip_v1:duration_ms"].value

    assert duration_at(datetime(2020, 3, 2, 12, tzinfo=UTC)) == 2000

    # An empty folder may be a disk that is not mounted, and one that is not there has not landed: nothing goes.
    (folder / "a.wav").unlink()
    refused = taken(NEXT)
    assert refused.exit_code == 65
    assert "looks the same" in str(refused.failed[NEXT])
    folder.rename(folder.with_name("away"))
    with pytest.raises(NotLanded, match="no landing file"):
        taken(NEXT)
    folder.with_name("away").rename(folder)
    assert Snapshot(platform.lake.of(SOURCE)).days == [DAY]

    (folder / "_EMPTY").touch()
    said = taken(NEXT)
    assert (said.exit_code, said.rows_out) == (0, 0)
    assert (clips(platform, DAY), clips(platform, NEXT)) == ({"a.wav"}, set())

    # A day without any signal is stopped, and let through by a person.
    verdict, code = built(platform, spark, NEXT)
    assert (verdict.outcome, code) == ("stopped", 65)
    assert duration_at(datetime(2020, 3, 3, 12, tzinfo=UTC)) == 2000
    decision = LetThrough("somebody", "the last clip was removed", datetime.now(UTC))
    assert built(platform, spark, NEXT, decision)[1] == 0
    assert duration_at(datetime(2020, 3, 3, 12, tzinfo=UTC)) is None

    # It comes back: the word that there is none has to go first.
    write_sound(folder / "a.wav")
    assert "remove _EMPTY, or the files" in str(taken(NEXT).failed[NEXT])
    (folder / "_EMPTY").unlink()
    assert taken(NEXT).exit_code == 0
    assert clips(platform, NEXT) == {"a.wav"}

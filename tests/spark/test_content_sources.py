"""Sources of contents: transcripts, sound files and the artists' catalogue; nothing broken stops the rest."""

from __future__ import annotations

import hashlib
import os
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from content_signals.errors import BrokenData, Temporary
from content_signals.inspection.quarantine import quarantined
from content_signals.pipeline import folder_files, folder_source
from content_signals.pipeline.folder_files import files_of
from content_signals.pipeline.ingest import ingest

DAY = date(2020, 3, 1)
NEXT = DAY + timedelta(days=1)


@pytest.fixture
def take(context, spark, new_run):
    """Ingest a source, in a run of its own."""

    def done(name: str, *days: date):
        return ingest(new_run(context), spark, context.catalog.source(name), list(days) or [DAY])

    return done


@pytest.fixture
def landing(context) -> Path:
    return Path(context.settings.landing)


def rows_of(context, name: str, day: date = DAY) -> dict[str, dict]:
    source = context.catalog.source(name)
    table = DeltaTable(context.lake.of(source).path).to_pyarrow_dataset().to_table()
    return {row[source.key[0]]: row for row in table.to_pylist() if row["ds"] == day}


def reasons(context, name: str, day: date = DAY) -> dict[str, int]:
    return {one["rule"]: one["rows"] for one in quarantined(context, name, str(day))}


def write(path: Path, rows: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, path)


def transcripts(landing: Path, *rows: tuple[str | None, str | None, bytes | None]) -> None:
    columns = list(zip(*rows, strict=True))
    texts = pa.array(columns[2], pa.binary())
    # As a file of a careless writer has it: declared as text, whatever the bytes are.
    text = pa.Array.from_buffers(pa.string(), len(texts), texts.buffers())
    table = pa.table({"episode_id": pa.array(columns[0]), "show": pa.array(columns[1]), "transcript": text})
    write(landing / "podcasts/transcripts.parquet", table)


def test_an_episode_has_the_digest_of_its_text_and_the_text_is_kept_once(context, landing, take):
    text = "**Ann:** Grüße, 世界 🎧".encode()
    transcripts(landing, ("a", "s", text), ("b", "s", text), ("c", "t", b"other words"))
    outcome = take("episode_transcripts", DAY, NEXT)
    assert (outcome.exit_code, outcome.rows_out) == (0, 6)
    found = rows_of(context, "episode_transcripts")
    assert found["a"]["sha256"] == found["b"]["sha256"] == hashlib.sha256(text).hexdigest()
    assert found["a"]["characters"] == len(text.decode())
    assert "transcript" not in found["a"]
    kept = DeltaTable(context.lake.contents(context.catalog.source("episode_transcripts")).path).to_pyarrow_table()
    assert sorted(kept.column("transcript").to_pylist()) == sorted([text.decode(), "other words"])
    assert take("episode_transcripts").exit_code == 0
    again = DeltaTable(context.lake.contents(context.catalog.source("episode_transcripts")).path).to_pyarrow_table()
    assert again.num_rows == kept.num_rows


def test_what_is_no_transcript_is_set_aside_and_stops_nothing(context, landing, take):
    transcripts(
        landing,
        ("good", "s", b"some words"),
        ("empty", "s", b""),
        ("blank", "s", b" \n\t "),
        ("null", "s", None),
        ("latin", "s", "caf\xe9 au lait".encode("latin-1")),
        ("", "s", b"no id"),
        (None, "s", b"no id either"),
        ("twice", "s", b"one text"),
        ("twice", "s", b"another text"),
        ("mended", "s", b""),
        ("mended", "s", b"real words"),
    )
    outcome = take("episode_transcripts")
    assert (outcome.exit_code, outcome.rows_out, outcome.quarantined) == (0, 3, 8)
    assert reasons(context, "episode_transcripts") == {
        "the transcript is empty": 4,
        "episode_id is empty": 2,
        "the transcript is not UTF-8": 1,
        "another row of the same episode is kept": 1,
    }
    least = min((b"one text", b"another text"), key=lambda text: hashlib.sha256(text).hexdigest())
    assert rows_of(context, "episode_transcripts")["twice"]["sha256"] == hashlib.sha256(least).hexdigest()


def sound(landing: Path, name: str, data: bytes) -> Path:
    path = landing / "audio" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


NAMES = ("a.wav", "deep/er/b.OGG", "with space & 100%.flac", "ü/日本.mp3", "quote'\"s.wav", "a=b,c.ogg")


def test_a_file_is_a_clip_named_by_its_path(context, landing, take):
    for name in NAMES:
        sound(landing, name, name.encode())
    sound(landing, "licence.txt", b"no clip")
    assert take("audio_clips").exit_code == 0
    found = rows_of(context, "audio_clips")
    assert set(found) == set(NAMES)
    for name in NAMES:
        assert found[name]["sha256"] == hashlib.sha256(name.encode()).hexdigest()
        assert found[name]["bytes"] == len(name.encode())
        assert Path(found[name]["path"]).read_bytes() == name.encode()


def test_an_empty_file_is_set_aside_and_stops_nothing(context, landing, take):
    sound(landing, "good.wav", b"RIFF")
    sound(landing, "none.ogg", b"")
    outcome = take("audio_clips")
    assert (outcome.exit_code, outcome.rows_out, outcome.quarantined) == (0, 1, 1)
    assert reasons(context, "audio_clips") == {"the file is empty": 1}


def test_what_cannot_be_opened_is_set_aside_and_stops_nothing(context, landing, take):
    sound(landing, "good.wav", b"RIFF")
    (landing / "audio/dangling.wav").symlink_to("/nowhere/at/all.wav")
    odd = os.fsencode(landing / "audio") + b"/caf\xe9.wav"
    Path(os.fsdecode(odd)).write_bytes(b"latin")
    deep = os.fsencode(landing / "audio") + b"/deep\xe9"
    Path(os.fsdecode(deep)).mkdir()
    outcome = take("audio_clips")
    assert (outcome.exit_code, outcome.rows_out, outcome.quarantined) == (0, 1, 3)
    found = {
        one["rule"]: sorted(e["file"].rpartition("/audio/")[2] for e in one["examples"])
        for one in quarantined(context, "audio_clips", str(DAY))
    }
    assert found == {
        "its name is not UTF-8: nothing that reads names as text can open it": ["caf\\xe9.wav", "deep\\xe9/"],
        "it has gone while the folder was read": ["dangling.wav"],
    }


def test_links_that_lead_in_circles_hide_no_file(context, landing, take):
    for name in ("a.wav", "b.wav", "sub/c.wav", "sub/deep/er/d.wav", "elsewhere/e.wav"):
        sound(landing, name, name.encode())
    audio = landing / "audio"
    (audio / "loop").symlink_to("loop")
    (audio / "loop.wav").symlink_to("loop.wav")
    (audio / "self").symlink_to(".")
    (audio / "sub/deep/er/up").symlink_to(audio / "sub")
    (audio / "sub/across").symlink_to(audio / "elsewhere")
    (audio / "elsewhere/back").symlink_to(audio / "sub")
    assert take("audio_clips").exit_code == 0
    # What is linked is there under both names, and each circle ends where it began.
    assert set(rows_of(context, "audio_clips")) == {
        "a.wav", "b.wav", "sub/c.wav", "sub/deep/er/d.wav", "elsewhere/e.wav", "sub/across/e.wav",
        "elsewhere/back/c.wav", "elsewhere/back/deep/er/d.wav",
    }  # fmt: skip
    assert reasons(context, "audio_clips")["it is a link to a folder that it lies in"] >= 2
    assert reasons(context, "audio_clips")["it cannot be read: Too many levels of symbolic links"] == 1


def test_a_folder_that_cannot_be_listed_takes_nothing_away(context, landing, take, monkeypatch):
    for name in ("a.wav", "sub/b.wav", "sub/deep/er/c.wav"):
        sound(landing, name, name.encode())
    assert take("audio_clips").exit_code == 0
    sound(landing, "new.wav", b"new")
    plain = os.scandir

    def failing(path):
        if str(path).endswith("/er"):
            raise OSError(116, "Stale file handle")
        return plain(path)

    monkeypatch.setattr("content_signals.pipeline.folder_files.os.scandir", failing)
    listed = [one for one in files_of(str(landing / "audio"), (".wav",), deep=True) if one.unread]
    assert [(Path(one.path).name, one.unread) for one in listed] == [
        ("er", "the folder cannot be listed: Stale file handle")
    ]
    monkeypatch.setattr(folder_source, "_hashed", lambda root: lambda batches: told_unlisted(batches))
    with pytest.raises(Temporary, match="the folder cannot be listed: Stale file handle: nobody knows which"):
        take("audio_clips", NEXT)
    assert set(rows_of(context, "audio_clips")) == {"a.wav", "sub/b.wav", "sub/deep/er/c.wav"}


def test_a_link_of_which_nobody_can_tell_whether_it_is_a_folder_is_no_missing_file(landing, monkeypatch):
    sound(landing, "a.wav", b"a")
    (landing / "audio/away").symlink_to("/mounted/elsewhere")
    (landing / "audio/long").symlink_to("x" * 300)
    assert [one.unread for one in files_of(str(landing / "audio"), (".wav",), deep=True)] == [None]

    plain = folder_files._is_folder

    def unknown(entry):
        if entry.name == "away":
            raise PermissionError(13, "Permission denied")
        return plain(entry)

    monkeypatch.setattr(folder_files, "_is_folder", unknown)
    found = [one.unread for one in files_of(str(landing / "audio"), (".wav",), deep=True) if one.unread]
    assert found == ["the folder cannot be listed: Permission denied"]


def told_unlisted(batches):
    """As a worker says it, which the test's own `scandir` does not reach."""
    for batch in batches:
        why = pa.array(["the folder cannot be listed: Stale file handle"] * batch.num_rows)
        columns = [*batch.columns[:-1], pa.nulls(batch.num_rows, pa.string()), why]
        yield pa.RecordBatch.from_arrays(columns, [*batch.schema.names[:-1], "sha256", "unread"])


def test_a_store_that_fails_is_tried_again(context, landing, take, monkeypatch):
    for name in "abc":
        sound(landing, f"{name}.wav", b"RIFF")

    def hashed(root):
        def read(batches):
            for batch in batches:
                why = [f"{folder_files.UNREADABLE}: Input/output error"] * batch.num_rows
                columns = [*batch.columns[:-1], pa.nulls(batch.num_rows, pa.string()), pa.array(why)]
                yield pa.RecordBatch.from_arrays(columns, [*batch.schema.names[:-1], "sha256", "unread"])

        return read

    monkeypatch.setattr(folder_source, "_hashed", hashed)
    with pytest.raises(Temporary, match="3 of 3 files of"):
        take("audio_clips")


def test_changed_removed_and_new_files_are_noticed_and_the_others_not_read_again(context, landing, take):
    kept, changed, removed = (sound(landing, f"{n}.wav", n.encode()) for n in ("kept", "changed", "removed"))
    take("audio_clips")
    # Same size, same time of writing: not read again, so that what stands there now goes unnoticed.
    at = kept.stat().st_mtime_ns
    kept.write_bytes(b"tpek")
    os.utime(kept, ns=(at, at))
    changed.write_bytes(b"CHANGED")
    removed.unlink()
    sound(landing, "new.wav", b"new")
    assert take("audio_clips", NEXT).exit_code == 0
    digests = {name: row["sha256"] for name, row in rows_of(context, "audio_clips", NEXT).items()}
    assert digests == {
        f"{name}.wav": hashlib.sha256(data).hexdigest()
        for name, data in (("kept", b"kept"), ("changed", b"CHANGED"), ("new", b"new"))
    }


def test_a_file_where_a_folder_is_wanted_is_refused(context, landing, take):
    landing.mkdir(parents=True)
    (landing / "audio").write_text("no folder")
    error = take("audio_clips").failed[DAY]
    assert isinstance(error, BrokenData)
    assert "it is a file, not a folder" in str(error)


def test_the_artists_catalogue_keeps_labels_and_sets_bad_rows_aside(context, landing, take):
    table = pa.table(
        {
            "track_id": ["t1", "t2", "t2", None, "t4", "t5"],
            "artist_id": ["a"] * 6,
            "album_id": ["x", "x", "y", "x", "x", None],
            "duration_s": [12.5, 3.0, 3.0, 4.0, -1.0, float("nan")],
            "tags": pa.array([["genre---rock", "mood/theme---sad"], [], None, [], [], []], pa.list_(pa.string())),
        }
    )
    write(landing / "jamendo/tracks.parquet", table)
    outcome = take("artist_catalogue")
    assert outcome.exit_code == 65
    assert "4 of 6 rows are malformed" in str(outcome.failed[DAY])
    write(landing / "jamendo/tracks.parquet", table.slice(0, 2))
    assert take("artist_catalogue").exit_code == 0
    found = rows_of(context, "artist_catalogue")
    assert found["t1"]["tags"] == ["genre---rock", "mood/theme---sad"]
    assert found["t2"]["tags"] == []

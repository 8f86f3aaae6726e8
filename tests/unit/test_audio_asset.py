"""Bytes of assets: those that were ingested, or none."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest
from pyarrow import fs

from content_signals.content import CONTENT_ID
from content_signals.signals.audio_clip import asset
from content_signals.signals.audio_clip.asset import LARGEST_BYTES, read_asset
from content_signals.signals.audio_clip.compute import row_of
from content_signals.signals.audio_clip.copies import write_all
from content_signals.signals.audio_clip.unusable import Unusable

CONTENT = bytes(range(256)) * 10_000  # more than two steps
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def read(path: Path | str, size: int = len(CONTENT), sha256: str = SHA256) -> bytes | None:
    file = read_asset(str(path), size, sha256)
    if file is None:
        return None
    with file:
        return file.read()


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "take #1 (50%) ü.ogg"
    found.write_bytes(CONTENT)
    return found


def test_the_bytes_that_were_ingested(path):
    assert read(path) == CONTENT


def test_by_url_too_whatever_the_name_is(path):
    assert read(f"file://{path}") == CONTENT


def test_an_object_is_found_by_bucket_and_key(monkeypatch, path):
    """As pyarrow has it for S3 and GCS: the bucket is the first folder of the file system."""
    asked = []

    def file_system(url):
        asked.append(url)
        return fs.SubTreeFileSystem(str(path.parent.parent), fs.LocalFileSystem()), path.parent.name

    monkeypatch.setattr(asset, "_file_system", file_system)
    assert read(f"s3://bucket/{path.name}") == CONTENT
    assert asked == ["s3://bucket/"]


class Small:
    """A raw file where little room is left: it takes what there is, and raises at the next write alone."""

    def __init__(self, room: int) -> None:
        self.room, self.held = room, b""

    def write(self, data: memoryview) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = bytes(data[: min(self.room, 3)])
        self.held, self.room = self.held + taken, self.room - len(taken)
        return len(taken)


def test_a_copy_is_whole_or_an_error():
    enough = Small(20)
    write_all(enough, b"all of these bytes")
    assert enough.held == b"all of these bytes"
    with pytest.raises(OSError, match="No space left"):
        write_all(Small(10), b"all of these bytes")


def test_a_full_disk_is_no_fault_of_the_asset(path, monkeypatch):
    """What is kept of a clip stands until its family's revision: nothing is kept then."""

    class Analyst:
        def describe(self, file):
            raise OSError(errno.ENOSPC, "No space left on device")

    asked = {"path": str(path), "bytes": len(CONTENT), CONTENT_ID: SHA256}
    with pytest.raises(OSError, match="No space left"):
        row_of(asked, Analyst())


def test_a_name_that_looks_compressed_is_read_as_it_is(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(CONTENT)
    assert read(path) == CONTENT


def test_gone(tmp_path):
    assert read(tmp_path / "none.ogg") is None
    assert read(tmp_path) is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_not_to_be_read(path):
    path.chmod(0)
    assert read(path) is None


@pytest.mark.parametrize("now", [CONTENT[:-1], CONTENT[:-1] + b"x", CONTENT + b"x", b"", CONTENT * 9])
def test_other_bytes_than_at_ingest(path, now):
    path.write_bytes(now)
    assert read(path) is None


def test_no_bytes_and_too_many_are_told_without_reading(tmp_path):
    with pytest.raises(Unusable, match="zero bytes"):
        read(tmp_path / "none.ogg", 0)
    with pytest.raises(Unusable, match="larger than 256 MiB"):
        read(tmp_path / "none.ogg", LARGEST_BYTES + 1)


def test_a_disk_that_is_full_is_no_fault_of_the_asset(monkeypatch, path):
    class Full:
        def write(self, step):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(asset, "TemporaryFile", lambda **_: Full())
    with pytest.raises(OSError, match="No space left"):
        read(path)

"""Whether a folder without files is empty: only where it says so."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from content_signals.errors import BrokenData
from content_signals.pipeline.folder_source import refused
from content_signals.sources.audio_clips.contract import AUDIO_CLIPS_V1

DAY = date(2020, 3, 1)


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_folder_is_empty_only_where_it_says_so(tmp_path, slash):
    folders = {DAY + timedelta(days=n): f"{tmp_path}{slash}" for n in range(2)}
    assert refused(AUDIO_CLIPS_V1, folders, 3) == ({}, False)
    errors, is_said = refused(AUDIO_CLIPS_V1, folders, 0)
    assert (set(errors), is_said) == (set(folders), False)
    error = errors[DAY]
    assert isinstance(error, BrokenData)
    assert "it holds no ogg, wav, flac, mp3 file; one whose disk is not mounted looks the same" in error.what
    assert "put an empty file _EMPTY into it, then ingest_source --source audio_clips --day 2020-03-01" in str(error)
    (tmp_path / "licence.txt").touch()
    assert set(refused(AUDIO_CLIPS_V1, folders, 0)[0]) == set(folders), "another file says nothing of clips"
    (tmp_path / "_EMPTY").touch()
    assert refused(AUDIO_CLIPS_V1, folders, 0) == ({}, True)


def test_a_folder_that_says_it_is_empty_and_holds_files_is_refused(tmp_path):
    (tmp_path / "_EMPTY").touch()
    (errors, _) = refused(AUDIO_CLIPS_V1, {DAY: str(tmp_path)}, 2)
    assert "it holds _EMPTY, which says that no file is left, and 2 files" in errors[DAY].what
    assert "Next: remove _EMPTY, or the files, then" in str(errors[DAY])


def test_below_another_folder_the_word_says_nothing(tmp_path):
    (tmp_path / "music").mkdir()
    (tmp_path / "music/_EMPTY").touch()
    assert refused(AUDIO_CLIPS_V1, {DAY: str(tmp_path)}, 4) == ({}, False)
    assert DAY in refused(AUDIO_CLIPS_V1, {DAY: str(tmp_path)}, 0)[0]

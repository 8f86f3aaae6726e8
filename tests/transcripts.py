"""Real podcast transcripts, where they are: in `CONTENT_SIGNALS_DATA`, else in ../shared/data beside the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from content_signals.settings import PROJECT

DATA = Path(os.environ.get("CONTENT_SIGNALS_DATA") or PROJECT.parent / "shared" / "data")
TRANSCRIPTS = DATA / "podcasts" / "transcripts.parquet"

real_transcripts = pytest.mark.skipif(
    not TRANSCRIPTS.is_file(), reason="real transcripts are not here: set CONTENT_SIGNALS_DATA"
)

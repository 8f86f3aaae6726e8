"""A context whose catalogue has the table of lengths."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from content_signals.catalog import Catalog
from content_signals.pipeline import extract as extract_module
from tests.spark.contents.lengths import LENGTHS, family


@pytest.fixture
def given(context, tmp_path, monkeypatch):
    """The context with the table in its catalogue, and where the family keeps its log."""
    log = tmp_path / "computed"
    log.mkdir()
    catalog = Catalog([*context.catalog.sources, LENGTHS])
    monkeypatch.setattr(extract_module, "family", lambda _: family(log))
    made = replace(context, catalog=catalog)

    def use(module):
        monkeypatch.setattr(extract_module, "family", lambda _: module)

    return SimpleNamespace(context=made, log=log, said=context.said, use=use)

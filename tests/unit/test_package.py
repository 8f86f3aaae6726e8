"""The package as it is installed elsewhere: whatever its code reads comes along."""

from __future__ import annotations

import runpy
from pathlib import Path

import setuptools

ROOT = Path(__file__).parents[2]
# What benchmarks have found: pages are made of it, here; no code reads it.
ONLY_HERE = {"measured.json", "measured_search.json"}


def test_every_file_that_code_reads_is_in_the_package(monkeypatch):
    declared: dict[str, list[str]] = {}
    monkeypatch.setattr(setuptools, "setup", lambda **given: declared.update(given["package_data"]))
    runpy.run_path(str(ROOT / "setup.py"))
    packed = {
        path
        for package, patterns in declared.items()
        for pattern in patterns
        for path in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    there = {
        path
        for path in (ROOT / "content_signals").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and path.name not in ONLY_HERE
    }
    assert len(there) > 10
    assert there == packed

"""Manifests of training sets: which versions of which tables a model was trained on. They pin these versions.

<lake>/_training/<id>/manifest.json, and the entity rows beside it. Upkeep keeps the files of every pinned version until
the manifest is released. While a set is made, an engine may have a working folder beside the manifests.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyarrow import fs

from content_signals.errors import UnknownName
from content_signals.lake.files import delete_folder, list_folder, read_json
from content_signals.lake.layout import Lake

_FILE, _WORK = "manifest.json", "_work-"


@dataclass(frozen=True)
class Pin:
    """A version of a table of the lake; by the table's name there, a history's included."""

    table: str
    version: int


def manifest_folder(lake: Lake, name: str) -> str:
    """Where a manifest lies."""
    return f"{lake.root}/_training/{name}"


def work_folder(lake: Lake) -> str:
    """A new place for what an engine needs while it makes a set: its executors read and write here too."""
    return manifest_folder(lake, f"{_WORK}{uuid.uuid4().hex}")


def remove_abandoned(lake: Lake, before: datetime) -> int:
    """Remove working folders of sets that were killed in the making: how many.

    Args:
        before: folders last written to before this moment. Empty folders without a date are kept.
    """
    removed = 0
    for folder in list_folder(f"{lake.root}/_training"):
        path = manifest_folder(lake, folder.base_name)
        if folder.base_name.startswith(_WORK) and folder.type == fs.FileType.Directory:
            written = [info.mtime for info in (folder, *list_folder(path, recursive=True)) if info.mtime]
            if written and max(written) < before:
                delete_folder(path)
                removed += 1
    return removed


def manifests(lake: Lake) -> Iterator[dict[str, Any]]:
    """Every manifest that is not released."""
    for folder in list_folder(f"{lake.root}/_training"):
        found = read_json(f"{lake.root}/_training/{folder.base_name}/{_FILE}")
        if found is not None:
            yield found


def manifest(lake: Lake, name: str) -> dict[str, Any]:
    """A manifest.

    Raises:
        UnknownName: there is none of this name.
    """
    found = read_json(f"{manifest_folder(lake, name)}/{_FILE}")
    if found is None:
        raise UnknownName("manifest", name, [known["name"] for known in manifests(lake)])
    return found


def release(lake: Lake, name: str) -> None:
    """Remove a manifest: what only it has pinned may be removed too, from now on.

    Raises:
        UnknownName: there is none of this name.
    """
    manifest(lake, name)
    delete_folder(manifest_folder(lake, name))


def pinned(lake: Lake, table: str) -> set[int]:
    """Versions of a table that manifests pin."""
    return {pin["version"] for found in manifests(lake) for pin in found["pins"] if pin["table"] == table}

"""Small files of the lake, on a local disk or an object store alike, by `pyarrow.fs`."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

from pyarrow import fs


def filesystem(path: str) -> tuple[fs.FileSystem, str]:
    """The file system a path lies on, and the path on it."""
    if "://" in path:
        found, inner = fs.FileSystem.from_uri(path)
        return found, inner
    return fs.LocalFileSystem(), path


def exists(path: str) -> bool:
    """Whether there is a file or folder at `path`."""
    files, inner = filesystem(path)
    return bool(files.get_file_info(inner).type != fs.FileType.NotFound)


def all_exist(paths: Sequence[str]) -> bool:
    """Whether there is a file at each path."""
    if not paths:
        return True
    files, _ = filesystem(paths[0])
    found = files.get_file_info([filesystem(path)[1] for path in paths])
    return all(info.type == fs.FileType.File for info in found)


def remove(path: str) -> None:
    """Remove a file, if it is there."""
    files, inner = filesystem(path)
    if files.get_file_info(inner).type == fs.FileType.File:
        files.delete_file(inner)


def size_of(path: str) -> int:
    """Bytes of a file."""
    files, inner = filesystem(path)
    return int(files.get_file_info(inner).size)


def list_folder(path: str, *, recursive: bool = False) -> list[fs.FileInfo]:
    """What lies in a folder, sorted by path; nothing when there is no such folder."""
    files, inner = filesystem(path)
    found: list[fs.FileInfo] = files.get_file_info(fs.FileSelector(inner, allow_not_found=True, recursive=recursive))
    return sorted(found, key=lambda info: str(info.path))


def read_json(path: str) -> dict[str, Any] | None:
    """The JSON object in a file, or None when there is no such file."""
    files, inner = filesystem(path)
    try:
        with files.open_input_stream(inner) as stream:
            value: dict[str, Any] = json.loads(stream.read())
    except FileNotFoundError:
        return None
    return value


def write_json(path: str, value: dict[str, Any]) -> None:
    """Write a JSON object so that a reader sees the old file or the whole new one, never half of it."""
    _write(path, json.dumps(value, indent=1, sort_keys=True, default=_plain))


def write_text(path: str, text: str) -> None:
    """Write a text, whole or not at all."""
    _write(path, text)


def _write(path: str, text: str) -> None:
    files, inner = filesystem(path)
    data = text.encode()
    folder = inner.rsplit("/", 1)[0]
    files.create_dir(folder, recursive=True)
    if isinstance(files, fs.LocalFileSystem):
        # An object store shows a new object only when it is complete; a disk needs the rename.
        temporary = f"{folder}/.{uuid.uuid4().hex}.tmp"
        with files.open_output_stream(temporary) as stream:
            stream.write(data)
        files.move(temporary, inner)
        return
    with files.open_output_stream(inner) as stream:
        stream.write(data)


def _plain(value: Any) -> Any:
    """A NumPy scalar as Python's own: Great Expectations leaves some in its results."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON")


def delete_folder(path: str) -> None:
    """Remove a folder and what is in it, if it is there."""
    files, inner = filesystem(path)
    if files.get_file_info(inner).type == fs.FileType.Directory:
        files.delete_dir(inner)

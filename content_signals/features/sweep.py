"""The keys that a view serves, read from the store itself: where no record says what was published."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from content_signals.features import encode
from content_signals.features.online import View
from content_signals.features.row_version import LIVING, state_of
from content_signals.lake.files import filesystem

_SCAN = 5_000


def sweep(client: Any, view: View, path: str) -> int:
    """Write the keys of a view's living rows to a Parquet file, in bounded memory; how many there are.

    Rows that are gone or taken down are left out.
    """
    schema = pa.schema([(view.join_key, pa.string())])
    files, inner = filesystem(path)
    files.create_dir(inner.rsplit("/", 1)[0], recursive=True)
    found = 0
    with pq.ParquetWriter(inner, schema, filesystem=files) as writer:
        for keys in _living(client, view):
            writer.write_table(pa.table({view.join_key: pa.array(keys, pa.string())}))
            found += len(keys)
    return found


def living_keys(client: Any, view: View) -> Iterator[str]:
    """Keys of a view's living rows, as the store happens to have them in order."""
    for keys in _living(client, view):
        yield from keys


def rows(client: Any, view: View) -> Iterator[list[str]]:
    """Keys that the store has a row of, whatever its state, some thousand at a time; some may come twice."""
    for some in _rows(client, view):
        yield [key for key, _, _ in some]


def _living(client: Any, view: View) -> Iterator[list[str]]:
    for some in _rows(client, view):
        yield [key for key, time, version in some if time is not None and state_of(time, version) == LIVING]


def _rows(client: Any, view: View) -> Iterator[list[tuple[str, bytes | None, bytes | None]]]:
    """Keys with time and version of their rows."""
    prefix = encode.key_prefix(view.join_key)
    pattern = re.sub(rb"([\[\]*?\\^-])", rb"\\\1", prefix) + b"*"
    names = client.scan_iter(match=pattern, count=_SCAN)
    while some := list(islice(names, _SCAN)):
        keys = {name: key for name in some if (key := _key(name, prefix, view.project)) is not None}
        pipe = client.pipeline(transaction=False)
        for name in keys:
            pipe.hmget(name, view.time_field, view.version_field)
        answers = zip(keys.values(), pipe.execute(), strict=True)
        yield [(key, time, version) for key, (time, version) in answers if time is not None or version is not None]


def _key(name: bytes, prefix: bytes, project: str) -> str | None:
    """The key in the name of a hash, None where it is another project's or another kind of name."""
    head = len(prefix) + 8
    _, length = struct.unpack_from("<II", name, len(prefix)) if len(name) >= head else (0, 0)
    return name[head : head + length].decode() if name[head + length :] == project.encode() else None

"""Every `Windowed` column of every family, by four pure functions that batch, stream and repair share."""

from content_signals.windows.events import dedup
from content_signals.windows.finalize import finalize, present_keys
from content_signals.windows.tiles import merge_tiles, partial_columns, tile

__all__ = ["dedup", "finalize", "merge_tiles", "partial_columns", "present_keys", "tile"]

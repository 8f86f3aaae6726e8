"""Slow imports beside the start of the JVM: Great Expectations and Feast take seconds each, and so does Spark."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType


def import_beside(module: str) -> Callable[[], ModuleType]:
    """Start importing a module in a thread; the returned function waits for it, and raises what the import raised."""
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="import")
    coming = pool.submit(importlib.import_module, module)
    pool.shutdown(wait=False)
    return coming.result

"""What content benchmarks measured, as JSON beside what they measured; the pages of signals show it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[1] / "content_signals"


def tell(measured: Mapping[str, Any], keep: Path | None) -> None:
    """Print it as JSON, and write that to a file if there is one."""
    text = json.dumps(measured, indent=2, ensure_ascii=False) + "\n"
    print(text)
    if keep:
        keep.write_text(text, "utf-8")

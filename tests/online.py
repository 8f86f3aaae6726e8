"""Features online as a model reads them, in a shape that tests compare."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from content_signals.features.answer import Value
from content_signals.features.client import FeatureClient
from content_signals.settings import Settings


def online(settings: Settings, service: str, keys: Sequence[str], as_of: datetime) -> dict[str, dict[str, Value]]:
    """Key -> feature, view:feature -> value, status and moment."""
    with FeatureClient(service, settings) as client:
        return dict(zip(keys, client.get(keys, as_of).cells(), strict=True))

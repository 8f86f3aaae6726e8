"""Why an asset is set aside."""

from __future__ import annotations


class Unusable(ValueError):
    """Nothing can be said of this asset, now or ever: its bytes are at fault. The message is the row's reason."""

"""What a service may call the views it reads, and the columns their keys come in.

Names travel through SQL, Parquet and `view:feature`: what is read one way here and another way there is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from content_signals.errors import UsageError

if TYPE_CHECKING:
    from feast.feature_view_projection import FeatureViewProjection

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*")


def called(projection: FeatureViewProjection) -> str:
    """What a service calls a view."""
    return str(projection.name_alias or projection.name)


def check_projections(service: str, projections: Sequence[FeatureViewProjection], state: str = "") -> None:
    """Whether every view has a name that is no other's, in whatever case, and all that is named here has a plain one.

    Raises:
        UsageError: naming the view and what to write.
    """
    for wrong in _wrong(projections):
        raise UsageError(
            f"service {service}: {wrong}",
            state=state,
            next_step=".with_name(…) and .with_join_key_map(…) give a view another name, and its key another column:"
            " letters, digits and single underscores between them",
        )


def _wrong(projections: Sequence[FeatureViewProjection]) -> Iterator[str]:
    names: dict[str, str] = {}
    unnamed = {projection.name for projection in projections if not projection.name_alias}
    for projection in projections:
        name = called(projection)
        for given in (projection.name_alias, *projection.join_key_map.values()):
            if given and not _NAME.fullmatch(given):
                yield f"{given!r}, which {projection.name} is given, is no name"
        if name.lower() in names:
            yield f"it reads {names[name.lower()]} and {projection.name} under one name, {name}"
        names[name.lower()] = projection.name
        # Feast compares services by sorting what they read, and cannot sort a name beside none.
        if projection.name_alias and projection.name in unnamed:
            yield f"it reads {projection.name} more than once, and not each time under a name of its own"

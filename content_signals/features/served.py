"""What the online store says it holds of a view, kept in the store itself: a store that was emptied says nothing."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

from content_signals.errors import Temporary

_SERVED, _BEGUN = b"served", b"begun:"
_CLEARED, _UNUSED, _USED = b"cleared", b"unused", b"used"
_UNDER_WAY, _DONE = b"under way", b"done"


@dataclass(frozen=True)
class Promoted:
    """A day of a table at one of its versions.

    Attributes:
        table: Delta's own id of it, another one in another lake.
        aside: the quarantine's version, where rows of the day stand in it: their keys are served as before.
    """

    version: int
    day: str
    table: str = ""
    aside: int | None = field(default=None, compare=False)

    @property
    def date(self) -> date:
        """The day."""
        return date.fromisoformat(self.day)


@dataclass(frozen=True)
class Served:
    """What is served.

    Attributes:
        promoted: what the last publication that ended has brought; None: nobody knows what is there.
        written_as: how its rows were written (`how_written`), "" when that is not known.
        begun: what publications have begun to bring and not ended: run -> what.
    """

    promoted: Promoted | None = None
    written_as: str = ""
    begun: dict[str, Promoted] = field(default_factory=dict)


class Marker:
    """The record in the store. Publications of one view may run at once: each has an entry of its own until it ends."""

    def __init__(self, client: Any, project: str, view: str) -> None:
        self._client = client
        self._key = f"content_signals:served:{project}:{view}".encode()

    def read(self) -> Served:
        """What is there now."""
        entries: dict[bytes, bytes] = self._client.hgetall(self._key)
        begun = {k.removeprefix(_BEGUN).decode(): json.loads(v) for k, v in entries.items() if k.startswith(_BEGUN)}
        served = json.loads(entries.get(_SERVED, b"{}"))
        return Served(
            Promoted(**served["promoted"]) if served else None,
            served.get("written_as", ""),
            {run: Promoted(**what) for run, what in begun.items()},
        )

    def begin(self, run: str, promoted: Promoted) -> None:
        """From now on rows of this may be in the store."""
        pipe = self._client.pipeline()
        pipe.hset(self._key, _BEGUN + run.encode(), json.dumps(asdict(promoted)))
        pipe.hdel(self._key, _CLEARED, _UNUSED)  # whoever publishes has the contract
        pipe.execute()

    def end(self, run: str, promoted: Promoted, written_as: str, settled: Served) -> None:
        """All of it is in the store, and whatever `settled`, read before the run began, had left half done is not.

        A newer publication that ended first is not forgotten: where both wrote, its rows have won.

        Raises:
            Temporary: the store has forgotten that the run began.
        """

        def change(pipe: Any) -> None:
            entry = json.loads(pipe.hget(self._key, _SERVED) or b"{}")
            before = Promoted(**entry["promoted"]) if entry else Promoted(-1, "")
            if not pipe.hexists(self._key, _BEGUN + run.encode()):
                raise Temporary(
                    "the online store has lost its records while this was published: it was emptied, or restarted",
                    state="some rows may be missing there",
                    next_step="publish the day again: every row is sent",
                )
            pipe.multi()
            if before.table != promoted.table or before.version <= promoted.version:
                entry = {"promoted": asdict(promoted), "written_as": written_as}
                pipe.hset(self._key, _SERVED, json.dumps(entry))
            pipe.hdel(self._key, *(_BEGUN + name.encode() for name in {run, *settled.begun}))

        self._client.transaction(change, self._key)

    def forget(self) -> None:
        """Nobody knows what is in the store: the next publication sends everything."""
        self._client.hdel(self._key, _SERVED)

    def clear(self) -> None:
        """From now on rows of the view are removed: none is served, and of no publication anything is there."""
        begun = [name for name in self._client.hkeys(self._key) if name.startswith(_BEGUN)]
        pipe = self._client.pipeline()
        pipe.hset(self._key, _CLEARED, _UNDER_WAY)
        pipe.hdel(self._key, _SERVED, *begun)
        pipe.execute()

    def end_clear(self) -> None:
        """All rows are removed; unless a publication has begun since, for which the mark was taken away."""
        with self._client.pipeline() as pipe:
            pipe.watch(self._key)
            under_way = pipe.hget(self._key, _CLEARED) == _UNDER_WAY
            pipe.multi()
            if under_way:
                pipe.hset(self._key, _CLEARED, _DONE)
            pipe.execute()

    @property
    def cleared(self) -> bool:
        """Whether rows of the view were removed, or begun to be, and nothing was published since."""
        return bool(self._client.hexists(self._key, _CLEARED))

    @property
    def is_clear(self) -> bool:
        """Whether all rows of the view were removed, and nothing was published since."""
        return bool(self._client.hget(self._key, _CLEARED) == _DONE)

    def unused_since(self, now: datetime) -> datetime:
        """When the view was first found unused; that is now, where it was not noted before."""
        self._client.hsetnx(self._key, _UNUSED, now.isoformat())
        return datetime.fromisoformat(self._client.hget(self._key, _UNUSED).decode())

    def used(self, now: datetime) -> None:
        """Note that the view is needed."""
        pipe = self._client.pipeline()
        pipe.hset(self._key, _USED, now.isoformat())
        pipe.hdel(self._key, _UNUSED)
        pipe.execute()

    def last_used(self) -> datetime | None:
        """When the view was seen to be needed last, None when that was not noted."""
        noted = self._client.hget(self._key, _USED)
        return datetime.fromisoformat(noted.decode()) if noted else None

"""Chunks in Feast's online document store: Milvus Lite in a folder, or a Milvus server.

What Feast 0.67 answers to `retrieve_online_documents_v2` has its features and distances in one order and the entity's
key in another: here the key is not read, and what says which chunk it is, is a feature (`place`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from content_signals.errors import Temporary
from content_signals.features.quiet import quiet_milvus
from content_signals.features.store import store_of
from content_signals.retrieval.version import SERVICE
from content_signals.settings import Settings

if TYPE_CHECKING:
    from feast import Entity, FeatureStore, FeatureView
    from feast.filter_models import ComparisonFilter, CompoundFilter

REPO = Path(__file__).resolve().parents[2] / "search_repo"
PLACE, VECTOR, KEY = "place", "embedding", "chunk_id"
_METRIC = "IP"
_BEFORE, _BY, _WHY, _WHEN = "live_before", "flipped_by", "flipped_because", "flipped_at"


def search_environment(settings: Settings) -> dict[str, str]:
    """What `search_repo/feature_store.yaml` takes from the environment. Holds secrets."""
    where = settings.vectors.get_secret_value()
    if "://" not in where:
        return _places(file=f"{where}/milvus.db")
    parts = urlsplit(where)
    token = ":".join(unquote(part) for part in (parts.username, parts.password) if part)
    return _places(url=parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), token=token)


def _places(*, file: str = "", url: str = "", token: str = "") -> dict[str, str]:
    """As they stand between single quotes in the YAML file."""
    places = {"FILE": file, "URL": url, "TOKEN": token}
    return {f"CONTENT_SIGNALS_VECTORS_{name}": value.replace("'", "''") for name, value in places.items()}


class Documents:
    """The document store. Milvus Lite is open in one process at a time: close it when it is not needed any more.

    Raises:
        Temporary: it, or the registry, does not answer.
    """

    def __init__(self, settings: Settings) -> None:
        self._where = settings.vectors.get_secret_value()
        if "://" not in self._where:
            Path(self._where).mkdir(parents=True, exist_ok=True)
        quiet_milvus()
        self.store: FeatureStore = store_of(settings, REPO, search_environment(settings))

    def close(self) -> None:
        """Let other processes open it."""
        client = getattr(self._online, "client", None)
        if client is not None:
            client.close()
            self._online.client = None
            self._online._collections.clear()
        if "://" not in self._where:
            from milvus_lite.server_manager import server_manager_instance

            server_manager_instance.release_server(self._file)  # closing a client leaves it open

    @property
    def _file(self) -> str:
        return f"{self._where}/milvus.db"

    def _connect(self) -> Any:
        """A client of the store. Asked for before the registry is written: a store that is away changes nothing."""
        return self._online._connect(self.store.config)

    @property
    def _online(self) -> Any:
        return self.store._get_provider().online_store

    @contextmanager
    def _answers(self) -> Iterator[None]:
        from pymilvus.exceptions import MilvusException

        try:
            yield
        except MilvusException as error:
            in_use = "local milvus" in str(error)
            raise Temporary(
                f"the index of chunks at {urlsplit(self._where).hostname or self._where}"
                + (" is open in another process" if in_use else f" does not answer: {error.message}"),
                state="nothing has changed",
                next_step="again when that process has ended; for several at once, run a Milvus server and set"
                " CONTENT_SIGNALS_VECTORS to its URL"
                if in_use
                else "start it, or set CONTENT_SIGNALS_VECTORS; then again",
            ) from error

    def create(self, entity: Entity, view: FeatureView) -> None:
        """Make a view and its collection, empty, in place of what was there under its name."""
        self.drop(view.name)
        with self._answers():
            self._connect()
            self.store.apply([entity, view])

    def drop(self, name: str) -> None:
        """Remove a view and its collection, if they are there."""
        known = {view.name: view for view in self.store.list_feature_views()}
        if name in known:
            with self._answers():
                self._connect().drop_collection(self._collection(name))
                self.store.apply([], objects_to_delete=[known[name]], partial=False)

    def count(self, name: str) -> int:
        """How many chunks a version has in the store."""
        with self._answers():
            client = self._connect()
            if not client.has_collection(self._collection(name)):
                return 0
            client.load_collection(self._collection(name))
            return int(client.query(self._collection(name), filter="", output_fields=["count(*)"])[0]["count(*)"])

    def remove(self, name: str, field: str, keys: Sequence[str]) -> None:
        """Remove the chunks whose `field`, a column of texts, is one of some keys."""
        with self._answers():
            client = self._connect()
            if client.has_collection(self._collection(name)):
                client.load_collection(self._collection(name))
                for key in keys:
                    client.delete(self._collection(name), filter=f"{field} == {json.dumps(key)}")

    def _collection(self, name: str) -> str:
        return f"{self.store.project}_{name}"  # as Feast names it

    def add(self, name: str, rows: pa.Table) -> None:
        """Write rows of a view."""
        with self._answers():
            self.store.write_to_online_store(name, rows.to_pandas())

    def nearest(
        self,
        name: str,
        vector: NDArray[np.float32],
        most: int,
        where: ComparisonFilter | CompoundFilter | None = None,
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Places of the chunks whose vectors are nearest, at most so many, the nearest first; and their cosines."""
        with self._answers():
            self._look_at(most)
            found = self.store.retrieve_online_documents_v2(
                features=[f"{name}:{PLACE}"],
                query=vector.tolist(),
                top_k=most,
                distance_metric=_METRIC,
                filters=where,
            ).to_dict()
        places = np.asarray(found.get(PLACE, []), np.intp)
        cosines = np.asarray(found.get("distance", []), np.float64)
        order = np.lexsort((places, -cosines))
        return places[order], cosines[order]

    def _look_at(self, most: int) -> None:
        """HNSW looks at no fewer chunks than it is asked for: a server refuses that."""
        given = self.store.config.online_store.search_params
        if given and given.get("ef", most) < most:
            given["ef"] = most

    def vectors(self, name: str, chunk_ids: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of some chunks [chunks, width]; of one that is not there, zeros."""
        with self._answers():
            found = self.store.get_online_features(
                features=[f"{name}:{VECTOR}"], entity_rows=[{KEY: chunk_id} for chunk_id in chunk_ids]
            ).to_dict()[VECTOR]
        width = self.store.config.online_store.embedding_dim
        return np.array([row or [0.0] * width for row in found], np.float32)

    def views(self) -> dict[str, datetime]:
        """The versions that there are, complete or not, and since when."""
        found = {view.name: view.created_timestamp for view in self.store.list_feature_views()}
        return {name: at.replace(tzinfo=at.tzinfo or UTC) if at else datetime.now(UTC) for name, at in found.items()}

    def refresh(self) -> None:
        """Look at the registry as it is now."""
        self.store.refresh_registry()  # type: ignore[no-untyped-call]

    def live(self) -> tuple[str | None, dict[str, str]]:
        """The live version, and what the last flip has noted."""
        from feast.errors import FeatureServiceNotFoundException

        # Not by Feast's lists: they are kept by the address of a copy of the registry, which another copy gets later.
        try:
            service = self.store.registry.get_feature_service(SERVICE, self.store.project, allow_cache=True)
        except FeatureServiceNotFoundException:
            return None, {}
        return service.feature_view_projections[0].name, dict(service.tags)

    def flip(self, name: str, *, who: str, reason: str, now: datetime) -> str | None:
        """Make a version the live one, in one commit of the registry; which one was live before."""
        from feast import FeatureService

        before, _ = self.live()
        tags = {_BY: who, _WHY: reason, _WHEN: now.isoformat(timespec="seconds"), "follow": "live"}
        service = FeatureService(
            name=SERVICE,
            features=[self.store.get_feature_view(name)],
            description="The index of chunks that searches read.",
            tags=tags | ({_BEFORE: before} if before and before != name else {}),
        )
        with self._answers():
            self._connect()
            self.store.apply([service])
        return before

    def before(self) -> str | None:
        """The version that was live before the last flip."""
        return self.live()[1].get(_BEFORE)

    def taken_back(self, by: str) -> tuple[str, str] | None:
        """The version that somebody other than `by` has replaced by the last flip, and why; None: nobody has."""
        _, tags = self.live()
        if _BEFORE not in tags or tags.get(_BY) == by:
            return None
        return tags[_BEFORE], f"{tags.get(_BY)}: {tags.get(_WHY)}"

"""Feast, pointed at this project's registry and stores. Importing it takes seconds: only what serves imports this."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

import yaml

from content_signals.errors import Temporary, UsageError
from content_signals.settings import Settings

if TYPE_CHECKING:
    import redis
    from feast import FeatureStore

PROJECT_NAME = "content_signals"  # as in feature_store.yaml, which a test compares
REPO = Path(__file__).resolve().parents[2] / "feature_repo"
_TEXTS = ("username", "password", "unix_socket_path")
_NOT_PLAIN = re.compile(r"""[,'"\\]|[^ -~]""")
_NOT_SET = "set CONTENT_SIGNALS_ONLINE_STORE, or online_store in the settings file; `make up` starts the embedded one"


def feast_environment(settings: Settings) -> dict[str, str]:
    """What `feature_repo/feature_store.yaml` takes from the environment. Holds secrets."""
    return {
        **settings.environment(),
        "CONTENT_SIGNALS_FEAST_ONLINE": feast_connection(settings.online_store.get_secret_value()),
        "FEAST_USAGE": "False",
    }


def feature_store(settings: Settings) -> FeatureStore:
    """A plain `feast.FeatureStore` of `feature_repo/`."""
    return store_of(settings, REPO, {})


def other_store() -> str:
    """Which store Feast is pointed at, where only Feast can write and read it; empty for one Redis or Valkey."""
    online = yaml.safe_load((REPO / "feature_store.yaml").read_text(encoding="utf-8")).get("online_store") or {}
    kind = online.get("type", "sqlite")  # Feast's own default
    if kind != "redis":
        return f"the online store is of type {kind}"
    way = online.get("redis_type", "redis")
    return "" if way == "redis" else f"the online store is of redis_type {way}"


def refuse_other_store(what: str) -> None:
    """Refuse what reads the store's own bytes, where the store is none that this project knows.

    Raises:
        UsageError: naming the kind of store.
    """
    if reason := other_store():
        raise UsageError(f"{what} reads one Redis or Valkey; {reason}", next_step="read through Feast's own SDK")


def store_of(settings: Settings, repo: Path, more: Mapping[str, str]) -> FeatureStore:
    """A plain `feast.FeatureStore` of a folder with a `feature_store.yaml`, which takes places from the environment.

    Args:
        more: what it takes besides the settings.
    """
    _make_registry_folder(settings.registry.get_secret_value())
    from feast import FeatureStore

    from content_signals.features.quiet import quiet_feast

    quiet_feast()
    with settings_in_environment(settings, more):
        return FeatureStore(repo_path=str(repo))


@contextmanager
def settings_in_environment(settings: Settings, more: Mapping[str, str] | None = None) -> Iterator[None]:
    """These settings as this process's environment, for what reads them there, and gone again after the block."""
    before = dict(os.environ)
    os.environ.update(feast_environment(settings) | dict(more or {}))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def feast_connection(url: str) -> str:
    """A `redis://`, `rediss://` or `unix://` URL as Feast's connection string, for `feature_store.yaml`."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        entries = ["localhost:0", _entry("unix_socket_path", parts.path)]
    else:
        entries = [f"{parts.hostname}:{parts.port or 6379}"]
        database = parts.path.strip("/")
        entries += [f"db={database}"] if database else []
        entries += ["ssl=true"] if parts.scheme == "rediss" else []
        entries += [_entry("username", unquote(parts.username))] if parts.username else []
        entries += [_entry("password", unquote(parts.password))] if parts.password else []
    entries += [_entry(name, value) for name, value in parse_qsl(parts.query)]
    return ",".join(entries)


def _entry(name: str, value: str) -> str:
    """An entry of the connection string. Feast splits that at commas, then reads a value as JSON if it is JSON.

    A value that would not come through is written as a JSON string, without commas, and without the single quotes that
    stand around all of it in `feature_store.yaml`.
    """
    if _NOT_PLAIN.search(value) or (name in _TEXTS and _is_json(value)):
        value = json.dumps(value).replace(",", r"\u002c").replace("'", r"\u0027")
    return f"{name}={value}"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def online_client(settings: Settings) -> redis.Redis:
    """A connection to the online store that answered.

    Raises:
        Temporary: when it does not answer.
    """
    import redis

    url = settings.online_store.get_secret_value()
    client: Any = redis.Redis.from_url(url, socket_connect_timeout=5, socket_timeout=30)
    try:
        client.ping()
    except redis.RedisError as error:
        parts = urlsplit(url)  # a password stands before the host, or in the query
        shown = f"{parts.scheme}://{parts.netloc.rsplit('@', 1)[-1]}{parts.path}"
        raise Temporary(f"the online store at {shown} does not answer: {error}", next_step=_NOT_SET) from error
    return client  # type: ignore[no-any-return]


@contextmanager
def store_answers(
    state: str = "some rows may be written; models read either these or what was served before",
    next_step: str = "publish the day again: it sends what is missing",
) -> Iterator[None]:
    """An online store that stops answering, or refuses, is a temporary failure. The defaults are a publication's.

    Raises:
        Temporary: naming what the client said.
    """
    import redis

    try:
        yield
    except (redis.RedisError, redis.exceptions.RedisClusterException) as error:  # a cluster's is none of the former
        raise Temporary(
            f"the online store fails: {type(error).__name__}: {error}", state=state, next_step=next_step
        ) from error


def _make_registry_folder(url: str) -> None:
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)

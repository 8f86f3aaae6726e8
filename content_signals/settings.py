"""Where things are: a TOML file, and the environment, which wins.

The file is `--settings`, else `CONTENT_SIGNALS_SETTINGS`, else `conf/local.toml` of this checkout. A relative path in
the file is relative to the file's folder; one in the environment, to the working directory. That goes for the paths in
`unix://` and `sqlite:///` URLs too.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from content_signals.errors import UsageError

PROJECT = Path(__file__).resolve().parent.parent
DEFAULT_FILE = PROJECT / "conf" / "local.toml"
PREFIX = "CONTENT_SIGNALS_"
_PATHS = ("landing", "lake", "var", "vectors")
_PATH_URLS = ("online_store", "registry")
_ROOTED = ("file", "hdfs", "viewfs")  # schemes whose URLs need name no host or bucket: hdfs:///lake


class Settings(BaseSettings):
    """The settings every room takes.

    Attributes:
        landing: folder or object-store URL where files land.
        lake: folder or object-store URL of the lake.
        online_store: `redis://`, `rediss://` (TLS) or `unix://` URL of a Redis or Valkey.
        registry: SQLAlchemy URL of Feast's registry.
        vectors: where the index of chunks is: folder of Milvus Lite, or http(s):// URL of a Milvus server, with
            user:password or a token before its host if it asks for them; default: `vectors` in `var`.
        alert_urls: where alerts go (Apprise-style or webhook URLs), as a list, or as text: separated by commas, or
            JSON. Never printed.
        var: local folder of the embedded services' state.
        airflow_port: port of the embedded Airflow UI, loopback only.
        ui_url: address of the Airflow UI, for links in alerts; default: the embedded one's.
        features_port: port of the embedded feature server, loopback only.
        feast_ui_port: port of Feast's own UI, loopback only.
        quality_engine: how a suite is run: "fused", in few Spark jobs, or "native", by Great Expectations as it comes.
        daily: whether Airflow ingests each day by itself, from yesterday on; without it only runs that are asked for.
        sources: the sources whose files land here, as a list, or as text separated by commas; none named: all there
            are. Airflow waits for no others.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True)

    landing: str
    lake: str
    online_store: SecretStr
    registry: SecretStr
    alert_urls: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    var: str = str(PROJECT / "var")
    vectors: SecretStr = SecretStr("")
    airflow_port: int = Field(default=8080, ge=1, le=65535)
    ui_url: str = ""
    features_port: int = Field(default=6566, ge=1, le=65535)
    feast_ui_port: int = Field(default=6567, ge=1, le=65535)
    quality_engine: Literal["fused", "native"] = "fused"
    daily: bool = True
    sources: Annotated[tuple[str, ...], NoDecode] = ()

    @field_validator("online_store")
    @classmethod
    def _store_url(cls, value: SecretStr) -> SecretStr:
        url = absolute_url(value.get_secret_value(), Path.cwd())
        if not _is_store_url(url):
            raise ValueError(
                "online_store is a redis://, rediss:// or unix:// URL with a host or a path; "
                "in a password / ? # [ ] @ and the like are written %2F, %3F, …"
            )
        return SecretStr(url)

    @field_validator("registry")
    @classmethod
    def _registry_url(cls, value: SecretStr) -> SecretStr:
        url = absolute_url(value.get_secret_value(), Path.cwd())
        if "://" not in url:
            raise ValueError("registry is an SQLAlchemy URL: sqlite:////folder/registry.db, postgresql+psycopg://…")
        return SecretStr(url)

    @field_validator("vectors")
    @classmethod
    def _vectors(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        where = value.get_secret_value().strip()
        if "://" not in where:
            return SecretStr(absolute(where or f"{info.data.get('var', '')}/vectors", Path.cwd()))
        if not where.startswith(("http://", "https://")) or not urlsplit(where).hostname:
            raise ValueError("vectors is a folder, or the http:// or https:// URL of a Milvus server")
        return SecretStr(where)

    @field_validator("alert_urls", mode="before")
    @classmethod
    def _urls_of_text(cls, value: object) -> object:
        return _urls(value) if isinstance(value, str) else value

    @field_validator("alert_urls")
    @classmethod
    def _alert_urls(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all("://" in url.get_secret_value() for url in value):
            raise ValueError("an alert URL has a scheme: https://…, mailto://…")
        return value

    @field_validator("sources", mode="before")
    @classmethod
    def _names_of_text(cls, value: object) -> object:
        return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value

    @field_validator("landing", "lake", "var")
    @classmethod
    def _folder(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("an empty path names no folder")
        return absolute(value, Path.cwd())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, which arrives as arguments."""
        return env_settings, init_settings

    @property
    def pages(self) -> str:
        """Address of the Signals page: below the Airflow UI's."""
        return f"{(self.ui_url or f'http://127.0.0.1:{self.airflow_port}').rstrip('/')}/signals"

    def environment(self) -> dict[str, str]:
        """All of these settings as environment variables, secrets in clear: for a child process, never for a log."""
        plain = {
            "LANDING": self.landing,
            "LAKE": self.lake,
            "ONLINE_STORE": self.online_store.get_secret_value(),
            "REGISTRY": self.registry.get_secret_value(),
            "ALERT_URLS": json.dumps([url.get_secret_value() for url in self.alert_urls]),
            "VAR": self.var,
            "VECTORS": self.vectors.get_secret_value(),
            "AIRFLOW_PORT": str(self.airflow_port),
            "UI_URL": self.ui_url,
            "FEATURES_PORT": str(self.features_port),
            "FEAST_UI_PORT": str(self.feast_ui_port),
            "QUALITY_ENGINE": self.quality_engine,
            "DAILY": str(self.daily).lower(),
            "SOURCES": ",".join(self.sources),
        }
        return {PREFIX + name: value for name, value in plain.items()}


def absolute(path: str, base: Path) -> str:
    """A local path made absolute against `base`; an object-store URL as it is. A slash at the end says nothing.

    Raises:
        ValueError: for a URL that names no bucket.
    """
    scheme, separator, rest = path.partition("://")
    if not separator:
        return os.path.normpath(base / path)
    if not rest.strip("/") or (rest.startswith("/") and scheme not in _ROOTED):
        raise ValueError(f"{scheme}:// names no bucket")
    return path.rstrip("/")


def absolute_url(url: str, base: Path) -> str:
    """A `unix://` or `sqlite:///` URL, its path made absolute against `base`; any other as it is."""
    for start in ("unix://", "sqlite:///"):
        path = url.removeprefix(start)
        if path != url and path and not path.startswith("/") and "@" not in path.partition("/")[0]:
            return start + os.path.normpath(base / path)
    return url


def load_settings(file: str | Path | None = None) -> Settings:
    """The settings of this process.

    Raises:
        UsageError: naming the file and the entry, when the file cannot be read or an entry is wrong.
    """
    path = Path(file or os.environ.get(PREFIX + "SETTINGS") or DEFAULT_FILE).absolute()
    values = _read(path)
    try:
        return Settings(**_resolve(values, path.parent))
    except ValidationError as error:
        entries = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in error.errors())
        # The values themselves stay out of the message: one of them may be a secret.
        raise UsageError(
            f"settings of {path} are wrong: {entries}",
            next_step=f"mend {path}, or the {PREFIX}… variable that stands in for the entry",
        ) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no settings file at {path}", next_step=f"pass --settings, or set {PREFIX}SETTINGS") from None
    except OSError as error:
        raise UsageError(
            f"settings file {path} cannot be read: {error.strerror}",
            next_step=f"pass --settings, or set {PREFIX}SETTINGS, to a file that can",
        ) from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 at byte {error.start}", next_step=f"save {path} as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}", next_step=f"mend {path}") from error


def _resolve(values: dict[str, Any], base: Path) -> dict[str, Any]:
    """Relative paths of the file, made absolute against its folder. What is wrong is left for the checks to name."""
    for name in _PATHS:
        if isinstance(path := values.get(name), str) and path.strip() and "://" not in path:
            values[name] = absolute(path, base)
    for name in _PATH_URLS:
        if isinstance(url := values.get(name), str):
            values[name] = absolute_url(url, base)
    return values


def _is_store_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # read here, so that one that is no number is found here
    except ValueError:  # its text quotes the URL, with user and password
        return False
    if parts.scheme == "unix":
        return bool(parts.path.strip("/"))
    return parts.scheme in ("redis", "rediss") and bool(parts.hostname)


def _urls(text: str) -> list[Any]:
    """URLs of a text: a JSON list, or separated by commas. A comma inside a URL (mailto://…?to=a,b) stays in it."""
    if not text.lstrip().startswith("["):
        return [url.strip() for url in re.split(r",(?=\s*[\w+.-]+://)", text) if url.strip()]
    try:
        found: list[Any] = json.loads(text)
    except ValueError:
        raise ValueError("alert_urls is a list of URLs: separated by commas, or in JSON") from None
    return found

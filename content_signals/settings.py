"""Where things are: a TOML file, and the environment, which wins.

The file is `--settings`, else `CONTENT_SIGNALS_SETTINGS`, else `conf/local.toml` of this checkout. A relative path in
the file is relative to the file's folder; one in the environment, to the working directory.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from content_signals.errors import UsageError

PROJECT = Path(__file__).resolve().parent.parent
DEFAULT_FILE = PROJECT / "conf" / "local.toml"
PREFIX = "CONTENT_SIGNALS_"
_PATHS = ("landing", "lake", "var")
_PATH_URLS = ("online_store", "registry")


class Settings(BaseSettings):
    """The settings every room takes.

    Attributes:
        landing: folder or object-store URL where files land.
        lake: folder or object-store URL of the lake.
        online_store: `redis://`, `rediss://` (TLS) or `unix://` URL of a Redis or Valkey.
        registry: SQLAlchemy URL of Feast's registry.
        alert_urls: where alerts go (Apprise-style or webhook URLs); never printed.
        var: local folder of the embedded services' state.
        airflow_port: port of the embedded Airflow UI, loopback only.
        features_port: port of the embedded feature server, loopback only.
        daily: whether Airflow ingests each day by itself, from yesterday on; without it only runs that are asked for.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    landing: str
    lake: str
    online_store: SecretStr
    registry: SecretStr
    alert_urls: tuple[SecretStr, ...] = ()
    var: str = str(PROJECT / "var")
    airflow_port: int = Field(default=8080, ge=1, le=65535)
    features_port: int = Field(default=6566, ge=1, le=65535)
    daily: bool = True

    @field_validator("online_store")
    @classmethod
    def _known_scheme(cls, value: SecretStr) -> SecretStr:
        if urlsplit(value.get_secret_value()).scheme not in ("redis", "rediss", "unix"):
            raise ValueError("online_store is a redis://, rediss:// or unix:// URL")
        return value

    @field_validator("landing", "lake", "var")
    @classmethod
    def _no_trailing_slash(cls, value: str) -> str:
        return absolute(value.rstrip("/"), Path.cwd())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings  # the environment wins over the file, which arrives as arguments

    def environment(self) -> dict[str, str]:
        """These settings as environment variables, secrets in clear: for a child process, never for a log."""
        plain = {
            "LANDING": self.landing,
            "LAKE": self.lake,
            "ONLINE_STORE": self.online_store.get_secret_value(),
            "REGISTRY": self.registry.get_secret_value(),
            "VAR": self.var,
            "AIRFLOW_PORT": str(self.airflow_port),
            "FEATURES_PORT": str(self.features_port),
            "DAILY": str(self.daily).lower(),
        }
        return {PREFIX + name: value for name, value in plain.items()}


def absolute(path: str, base: Path) -> str:
    """A local path made absolute against `base`; an object-store URL as it is."""
    return path if "://" in path else os.path.normpath(base / path)


def load_settings(file: str | Path | None = None) -> Settings:
    """The settings of this process.

    Raises:
        UsageError: naming the file and the entry, when the file is missing or an entry is wrong.
    """
    path = Path(file or os.environ.get(PREFIX + "SETTINGS") or DEFAULT_FILE).absolute()
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no settings file at {path}", next_step=f"pass --settings, or set {PREFIX}SETTINGS") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}", next_step=f"mend {path}") from error
    try:
        return Settings(**_resolve(values, path.parent))
    except ValidationError as error:
        entries = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in error.errors())
        # The values themselves stay out of the message: one of them may be a secret.
        raise UsageError(f"settings of {path} are wrong: {entries}", next_step=f"mend {path}") from None


def _resolve(values: dict[str, Any], base: Path) -> dict[str, Any]:
    """Relative paths of the file, made absolute against its folder."""
    for name in _PATHS:
        if isinstance(values.get(name), str):
            values[name] = absolute(values[name], base)
    for name in _PATH_URLS:
        scheme, separator, rest = str(values.get(name, "")).partition(":///" if name == "registry" else "://")
        if separator and scheme in ("sqlite", "unix") and not rest.startswith("/"):
            values[name] = scheme + separator + absolute(rest, base)
    return values

"""Settings: which source wins, what a path is relative to, and that secrets stay secret."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from content_signals import settings as module
from content_signals.errors import USAGE, UsageError
from content_signals.settings import PREFIX, PROJECT, load_settings

SECRET = "s3cr3t-Pa55"
COMPLETE = {
    "landing": "../landing",
    "lake": "../lake",
    "online_store": "unix://../run/valkey.sock",
    "registry": "sqlite:///../feast/registry.db",
}

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write conf/test.toml with these entries changed; None leaves one out."""

    def _write(**changes: Any) -> Path:
        file = tmp_path / "conf" / "test.toml"
        file.parent.mkdir(exist_ok=True)
        entries = {k: v for k, v in (COMPLETE | changes).items() if v is not None}
        file.write_text("".join(f"{name} = {toml(value)}\n" for name, value in entries.items()))
        return file

    return _write


def toml(value: Any) -> str:
    return str(value) if isinstance(value, int) else repr(value)


def text_of(error: BaseException) -> str:
    """All a user or a log can see of it."""
    return "".join(traceback.format_exception(error)) + str(error) + repr(error) + repr(error.args)


# --- which file, which value


def test_paths_of_the_file_are_relative_to_its_folder(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(var="var")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for given in (file, str(file), Path("../conf/test.toml")):
        found = load_settings(given)
        assert found.landing == str(tmp_path / "landing")
        assert found.lake == str(tmp_path / "lake")
        assert found.var == str(tmp_path / "conf" / "var")
        assert found.online_store.get_secret_value() == f"unix://{tmp_path}/run/valkey.sock"
        assert found.registry.get_secret_value() == f"sqlite:///{tmp_path}/feast/registry.db"


def test_absolute_paths_and_urls_stay_as_they_are(write: Write) -> None:
    given = {
        "landing": "s3://bucket/landing",
        "lake": "/srv/lake",
        "online_store": "rediss://redis.features.svc:6379/0",
        "registry": "postgresql+psycopg://feast@host/feast",
    }
    found = load_settings(write(**given))
    assert (found.landing, found.lake) == (given["landing"], given["lake"])
    assert found.online_store.get_secret_value() == given["online_store"]
    assert found.registry.get_secret_value() == given["registry"]
    found = load_settings(write(online_store="unix:///run/v.sock", registry="sqlite:////srv/r.db"))
    assert found.online_store.get_secret_value() == "unix:///run/v.sock"
    assert found.registry.get_secret_value() == "sqlite:////srv/r.db"


def test_a_trailing_slash_says_nothing(write: Write) -> None:
    found = load_settings(write(landing="s3://bucket/landing/", lake="/srv/lake//"))
    assert (found.landing, found.lake) == ("s3://bucket/landing", "/srv/lake")
    found = load_settings(write(landing="/", lake="hdfs:///lake/"))
    assert (found.landing, found.lake) == ("/", "hdfs:///lake")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("landing", "s3://other/landing"),
        ("lake", "/srv/other"),
        ("online_store", "redis://other:6379/1"),
        ("registry", "postgresql+psycopg://other/feast"),
        ("var", "/srv/var"),
        ("vectors", "https://token@milvus:19530"),
        ("airflow_port", "18080"),
        ("features_port", "16566"),
        ("quality_engine", "native"),
    ],
)
def test_the_environment_wins_over_the_file(
    write: Write, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    file = write(var="/srv/first", vectors="/srv/vectors", airflow_port=1, features_port=2)
    before, variable = load_settings(file), PREFIX + name.upper()
    monkeypatch.setenv(variable, value)
    after = load_settings(file)
    assert after.environment()[variable] == value
    unchanged = {k: v for k, v in before.environment().items() if k != variable}
    assert {k: v for k, v in after.environment().items() if k != variable} == unchanged


def test_a_path_of_the_environment_is_relative_to_the_working_folder(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv(PREFIX + "LAKE", "lake")
    assert load_settings(file).lake == str(tmp_path / "elsewhere" / "lake")
    monkeypatch.setenv(PREFIX + "ONLINE_STORE", "unix://../run/other.sock?db=1")
    monkeypatch.setenv(PREFIX + "REGISTRY", "sqlite:///feast.db")
    found = load_settings(file)
    assert found.online_store.get_secret_value() == f"unix://{tmp_path}/run/other.sock?db=1"
    assert found.registry.get_secret_value() == f"sqlite:///{tmp_path}/elsewhere/feast.db"
    for variable in (PREFIX + "ONLINE_STORE", PREFIX + "REGISTRY"):  # and as a child process gets it
        assert load_settings(file).environment()[variable] == found.environment()[variable]


def test_a_user_of_a_socket_is_not_taken_for_a_folder(write: Write) -> None:
    url = "unix://user@/run/valkey.sock"
    assert load_settings(write(online_store=url)).online_store.get_secret_value() == url


def test_the_file_asked_for_wins_over_that_of_the_environment_over_the_default(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {name: write(lake=f"/{name}").read_text() for name in ("asked", "environment", "default")}
    files = {name: tmp_path / f"{name}.toml" for name in texts}
    for name, text in texts.items():
        files[name].write_text(text)
    monkeypatch.setattr(module, "DEFAULT_FILE", files["default"])
    assert load_settings().lake == "/default"
    monkeypatch.setenv(PREFIX + "SETTINGS", str(files["environment"]))
    assert load_settings().lake == "/environment"
    assert load_settings(files["asked"]).lake == "/asked"


def test_the_files_of_this_repository_are_right() -> None:
    local = load_settings(PROJECT / "conf" / "local.toml")
    assert local.lake == str(PROJECT / "var" / "lake")
    assert local.var == str(PROJECT / "var")
    assert load_settings(PROJECT / "conf" / "cluster.toml").lake == "s3://content-lake"


def test_a_child_process_gets_the_same_settings(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_settings(write())
    for name, value in first.environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings(write(landing="/a", lake="/b", var="/c", airflow_port=9)) == first


@pytest.mark.parametrize(
    ("text", "names"),
    [("", ()), ("play_events", ("play_events",)), (" a_v1 , b,", ("a_v1", "b"))],
)
def test_sources_are_separated_by_commas(
    write: Write, monkeypatch: pytest.MonkeyPatch, text: str, names: tuple[str, ...]
) -> None:
    assert load_settings(write()).sources == ()
    assert load_settings(write(sources=["c"])).sources == ("c",)
    monkeypatch.setenv(PREFIX + "SOURCES", text)
    found = load_settings(write(sources=["c"]))
    assert found.sources == names
    assert found.environment()[PREFIX + "SOURCES"] == ",".join(names)


def test_settings_cannot_be_changed(write: Write) -> None:
    with pytest.raises(ValidationError):
        load_settings(write()).lake = "/elsewhere"  # type: ignore[misc]


# --- what is wrong is named


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"lake": None}, "lake: Field required"),
        ({"online_store": None}, "online_store: Field required"),
        ({"lak": "/x"}, "lak: Extra inputs are not permitted"),
        ({"lake": 5}, "lake: "),
        ({"online_store": "http://host"}, "online_store is a redis://, rediss:// or unix:// URL"),
        ({"online_store": "host:6379"}, "online_store is a redis://, rediss:// or unix:// URL"),
        ({"online_store": "redis://"}, "online_store is a redis://, rediss:// or unix:// URL"),
        ({"online_store": "redis://:6379"}, "online_store is a redis://, rediss:// or unix:// URL"),
        ({"online_store": "unix://"}, "online_store is a redis://, rediss:// or unix:// URL"),
        ({"registry": ""}, "registry is an SQLAlchemy URL"),
        ({"registry": "feast/registry.db"}, "registry is an SQLAlchemy URL"),
        *(({name: ""}, f"{name}: ") for name in ("landing", "lake", "var")),
        ({"lake": "s3:///lake"}, "lake: Value error, s3:// names no bucket"),
        ({"alert_urls": ["hooks.example"]}, "alert_urls: Value error, an alert URL has a scheme"),
        ({"alert_urls": 5}, "alert_urls: "),
        ({"airflow_port": 0}, "airflow_port: "),
        ({"features_port": 65536}, "features_port: "),
        ({"airflow_port": "http"}, "airflow_port: "),
        ({"quality_engine": "spark"}, "quality_engine: "),
    ],
)
def test_a_wrong_entry_is_named_with_its_file(write: Write, changes: dict[str, Any], told: str) -> None:
    file = write(**changes)
    with pytest.raises(UsageError) as error:
        load_settings(file)
    assert told in error.value.what
    assert str(file) in error.value.what
    assert error.value.exit_code == USAGE


def test_all_wrong_entries_are_named_at_once(write: Write) -> None:
    with pytest.raises(UsageError) as error:
        load_settings(write(lake=None, landing=None, airflow_port=0))
    assert all(f"{name}: " in error.value.what for name in ("lake", "landing", "airflow_port"))


def test_a_missing_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        load_settings(tmp_path / "nowhere.toml")
    assert str(tmp_path / "nowhere.toml") in error.value.what
    assert "--settings" in error.value.next_step
    assert PREFIX + "SETTINGS" in error.value.next_step


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "Is a directory"), (b'lake = "\xe9"', "is not UTF-8 at byte 8")],
    ids=["a folder", "latin-1"],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, told: str) -> None:
    file = tmp_path
    if content is not None:
        file = tmp_path / "latin.toml"
        file.write_bytes(content)
    with pytest.raises(UsageError) as error:
        load_settings(file)
    assert str(file) in error.value.what
    assert told in error.value.what
    assert error.value.next_step


@pytest.mark.parametrize("name", ["landing", "lake", "var"])
@pytest.mark.parametrize("value", ["", " ", "s3://", "s3:///"])
def test_an_empty_path_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    file = write()
    monkeypatch.setenv(PREFIX + name.upper(), value)
    with pytest.raises(UsageError, match=f"{name}: ") as error:
        load_settings(file)
    assert f"{PREFIX}… variable" in error.value.next_step


# --- alert URLs

HOOK, MAIL = "https://hooks.example/a?b=c", "mailto://me:p@mail.example?to=a@example,b@example"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("[]", []),
        (HOOK, [HOOK]),
        (f"{HOOK},{MAIL}", [HOOK, MAIL]),  # a comma that is part of a URL stays in it
        (f" {MAIL} , {HOOK} ", [MAIL, HOOK]),
        (f'["{HOOK}", "{MAIL}"]', [HOOK, MAIL]),
    ],
)
def test_alert_urls_are_given_as_text_or_json(
    write: Write, monkeypatch: pytest.MonkeyPatch, text: str, found: list[str]
) -> None:
    file = write(alert_urls=["https://of.the.file"])
    assert [url.get_secret_value() for url in load_settings(write(alert_urls=text)).alert_urls] == found
    monkeypatch.setenv(PREFIX + "ALERT_URLS", text)
    assert [url.get_secret_value() for url in load_settings(file).alert_urls] == found


# --- secrets


SECRETS = {
    "online_store": f"redis://user:{SECRET}@host:6379/0",
    "registry": f"postgresql+psycopg://user:{SECRET}@host/feast",
    "alert_urls": [f"https://hooks.example/{SECRET}"],
}


def test_secrets_are_not_in_anything_that_is_printed(write: Write) -> None:
    found = load_settings(write(**SECRETS))
    for shown in (repr(found), str(found), f"{found}", repr(found.model_dump()), found.model_dump_json()):
        assert SECRET not in shown
    assert SECRET not in repr(vars(found))
    assert found.alert_urls[0].get_secret_value() == SECRETS["alert_urls"][0]


def test_a_child_process_gets_the_secrets_in_clear(write: Write) -> None:
    environment = load_settings(write(**SECRETS)).environment()
    assert environment[PREFIX + "ONLINE_STORE"] == SECRETS["online_store"]
    assert environment[PREFIX + "REGISTRY"] == SECRETS["registry"]
    assert json.loads(environment[PREFIX + "ALERT_URLS"]) == SECRETS["alert_urls"]


def test_a_child_process_reads_the_alert_urls_as_they_were(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    for urls in ([HOOK, MAIL], []):
        first = load_settings(write(alert_urls=urls))
        monkeypatch.setenv(PREFIX + "ALERT_URLS", first.environment()[PREFIX + "ALERT_URLS"])
        assert load_settings(write(alert_urls=["https://of.the.child"])) == first
        monkeypatch.delenv(PREFIX + "ALERT_URLS")


@pytest.mark.parametrize(
    "changes",
    [
        {**SECRETS, "lake": None},
        {**SECRETS, "online_store": f"http://user:{SECRET}@host"},
        {**SECRETS, "online_store": f"redis://user:{SECRET}@[host"},
        {**SECRETS, "online_store": f"redis://user:{SECRET}/x@host:6379/0"},
        {**SECRETS, "online_store": f"redis://user:{SECRET}\N{CARE OF}@host:6379/0"},
        {**SECRETS, "registry": SECRET},
        {**SECRETS, "alert_urls": SECRET},
        {**SECRETS, "alert_urls": f'["{SECRET}"'},
        {**SECRETS, "alert_urls": [[SECRET]]},
        {**SECRETS, "registry": [SECRET]},
        {**SECRETS, "regstry": SECRET},
        {**SECRETS, "airflow_port": SECRET},
    ],
    ids=[
        *("missing", "scheme", "url", "slash in it", "not for urllib", "no URL", "no scheme", "half a list"),
        *("list in list", "type", "unknown", "port"),
    ],
)
def test_secrets_are_not_in_an_error_either(write: Write, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as error:
        load_settings(write(**changes))
    assert SECRET not in text_of(error.value)


@pytest.mark.parametrize("text", [SECRET, f'["{SECRET}"', f'{{"a": "{SECRET}"}}', f'[["{SECRET}"]]'])
def test_nor_in_that_of_a_wrong_variable(write: Write, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(PREFIX + "ALERT_URLS", text)
    with pytest.raises(UsageError, match="alert_urls") as error:
        load_settings(write())
    assert SECRET not in text_of(error.value)


def test_nor_in_that_of_settings_made_in_code() -> None:
    with pytest.raises(ValidationError) as error:
        module.Settings(landing="/a", lake="", online_store=SECRET, registry=SECRET, alert_urls=SECRET)
    assert SECRET not in text_of(error.value)


def test_nor_in_the_error_of_a_file_that_is_not_toml(write: Write) -> None:
    file = write(**SECRETS)
    file.write_text(file.read_text() + f"airflow_port = redis://user:{SECRET}@host\n")
    with pytest.raises(UsageError, match="is not TOML") as error:
        load_settings(file)
    assert SECRET not in text_of(error.value)

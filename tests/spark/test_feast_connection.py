"""Store URLs as Feast's connection strings."""

from __future__ import annotations

import os
from urllib.parse import quote

import pytest
import yaml
from feast.infra.online_stores.redis import RedisOnlineStore

from content_signals.features.store import REPO, feast_connection


@pytest.mark.parametrize(
    ("url", "connection"),
    [
        ("unix:///var/run/valkey.sock", "localhost:0,unix_socket_path=/var/run/valkey.sock"),
        ("redis://redis.svc", "redis.svc:6379"),
        ("redis://redis.svc:6380/2", "redis.svc:6380,db=2"),
        ("rediss://reader:p%40ss@redis.svc:6379/0", "redis.svc:6379,db=0,ssl=true,username=reader,password=p@ss"),
        ("redis://redis.svc?socket_timeout=5", "redis.svc:6379,socket_timeout=5"),
    ],
)
def test_each_form(url, connection):
    assert feast_connection(url) == connection


@pytest.mark.parametrize(
    "password",
    [
        "p@ss",
        "a,b=c",
        ",",
        "12345",
        "1e5",
        "true",
        "null",
        '"quoted"',
        "it's",
        "back\\slash",
        "$HOME ${HOME} #",
        "pâss",
    ],
)
def test_a_password_reaches_feast_as_it_is(monkeypatch, password):
    url = f"redis://{quote(password, safe='')}:{quote(password, safe='')}@redis.svc/2?socket_timeout=5"
    monkeypatch.setenv("CONTENT_SIGNALS_FEAST_ONLINE", feast_connection(url))
    # As Feast reads its file, and then the string in it.
    read = yaml.safe_load(os.path.expandvars((REPO / "feature_store.yaml").read_text()))
    nodes, entries = RedisOnlineStore._parse_connection_string(read["online_store"]["connection_string"])
    assert nodes == [{"host": "redis.svc", "port": "6379"}]
    assert entries == {"db": 2, "socket_timeout": 5, "username": password, "password": password}


def test_a_socket_in_a_folder_with_a_comma():
    _, entries = RedisOnlineStore._parse_connection_string(feast_connection("unix:///a,b/valkey.sock"))
    assert entries == {"unix_socket_path": "/a,b/valkey.sock"}

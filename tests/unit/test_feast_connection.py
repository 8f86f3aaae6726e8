"""Store URLs as Feast's connection strings."""

from __future__ import annotations

import pytest

from content_signals.features.store import feast_connection


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

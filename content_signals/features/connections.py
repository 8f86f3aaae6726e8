"""Connections to the online store, shared among threads."""

from __future__ import annotations

import os
from queue import Empty, SimpleQueue
from typing import Any

import redis


class Connections:
    """At most so many at a time; the one used last is taken first, so that few are open.

    For a call of one key redis-py's own pool takes as long as sending and receiving: it looks into every connection
    before it lends it, to see whether the store has closed it. Here such a connection is made anew when it fails.

    Args:
        url: of the store.
        most: connections at a time.
        timeout: seconds to connect in, for each part of an answer to arrive, and to wait for a free connection.
    """

    def __init__(self, url: str, most: int, timeout: float) -> None:
        limits: dict[str, Any] = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
        self._settings: Any = redis.ConnectionPool.from_url(url, **limits)
        self._most, self._timeout = most, timeout
        self._begin()

    def exchange(self, commands: bytes, answers: int) -> list[Any]:
        """Send packed commands that only read, and take their answers.

        Raises:
            redis.RedisError: the store does not answer in time, or with an error; or no connection became free.
        """
        if self._process != os.getpid():
            self._begin()
        turns = self._turns
        try:
            turns.get(timeout=self._timeout)
        except Empty:
            said = f"none of {self._most} connections became free in {self._timeout} s"
            raise redis.ConnectionError(said) from None
        try:
            return self._exchange(commands, answers)
        finally:
            turns.put(None)

    def close(self) -> None:
        """Close those that no call has just now; a later call makes a new one."""
        while self._free:
            try:
                self._free.pop().disconnect()
            except IndexError:  # a call was quicker
                return

    def _exchange(self, commands: bytes, answers: int) -> list[Any]:
        try:
            connection, used = self._free.pop(), True
        except IndexError:
            connection, used = self._settings.connection_class(**self._settings.connection_kwargs), False
        try:
            try:
                return _exchange(connection, commands, answers)
            except redis.ConnectionError:
                if not used:
                    raise
                connection.disconnect()  # closed by the store since its last call
                return _exchange(connection, commands, answers)
        except BaseException:
            connection.disconnect()  # answers may still be on their way
            raise
        finally:
            self._free.append(connection)

    def _begin(self) -> None:
        """With none, in a process that was forked too: two on one socket would read each other's answers."""
        self._free: list[Any] = []
        self._turns: SimpleQueue[None] = SimpleQueue()  # a semaphore that is not written in Python
        for _ in range(self._most):
            self._turns.put(None)
        self._process = os.getpid()


def _exchange(connection: Any, commands: bytes, answers: int) -> list[Any]:
    connection.send_packed_command((commands,))  # connects where it is not connected
    return [connection.read_response(disable_decoding=True) for _ in range(answers)]

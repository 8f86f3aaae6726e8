"""The error tree: exit codes, their order, and what an error says."""

from __future__ import annotations

import copy
import itertools
import pickle

import pytest

from content_signals import errors
from content_signals.errors import (
    BROKEN_DATA,
    NOT_LANDED,
    OK,
    TEMPORARY,
    UNKNOWN,
    USAGE,
    BrokenData,
    ContractError,
    NotLanded,
    Refused,
    SignalsError,
    Superseded,
    Temporary,
    UnknownName,
    UsageError,
    worst,
)


def test_the_codes_are_those_of_the_design() -> None:
    assert (OK, UNKNOWN, USAGE, BROKEN_DATA, NOT_LANDED, TEMPORARY) == (0, 1, 64, 65, 66, 75)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SignalsError("x"), 1),
        (UsageError("x"), 64),
        (UnknownName("table", "x", []), 64),
        (ContractError("x"), 64),
        (BrokenData("x"), 65),
        (Refused("x"), 65),
        (Superseded("x"), 65),
        (NotLanded("x"), 66),
        (Temporary("x"), 75),
    ],
)
def test_each_error_knows_its_exit_code(error: SignalsError, code: int) -> None:
    assert error.exit_code == code


def test_every_error_is_one_of_ours_and_none_was_forgotten_here() -> None:
    declared = {e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)}
    named = {
        SignalsError,
        UsageError,
        UnknownName,
        ContractError,
        BrokenData,
        Refused,
        Superseded,
        NotLanded,
        Temporary,
    }
    assert declared == named
    assert all(issubclass(e, SignalsError) for e in declared)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([], OK),
        ([OK, OK], OK),
        ([OK, NOT_LANDED], NOT_LANDED),  # a day that has not landed is the mildest of failures, though 66 > 65
        ([NOT_LANDED, BROKEN_DATA], BROKEN_DATA),
        ([BROKEN_DATA, TEMPORARY, OK], TEMPORARY),
        ([TEMPORARY, USAGE], USAGE),
        ([USAGE, UNKNOWN, TEMPORARY], UNKNOWN),  # 1 is the smallest number and the gravest
        ([137], UNKNOWN),  # killed: no code of ours
        ([OK, 137, USAGE, -9], UNKNOWN),
    ],
)
def test_a_range_exits_with_its_worst_day(codes: list[int], expected: int) -> None:
    for order in itertools.permutations(codes):
        assert worst(iter(order)) == expected


def test_an_error_says_what_happened_what_is_served_and_what_to_do() -> None:
    error = BrokenData("too many bad rows", state="yesterday is served", next_step="mend the file")
    assert str(error) == "too many bad rows\nState: yesterday is served\nNext: mend the file"
    assert str(BrokenData("too many bad rows")) == "too many bad rows"
    assert str(BrokenData("bad", next_step="mend it")) == "bad\nNext: mend it"


def test_an_error_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(NotLanded("no file", state="served", next_step="wait")))
    assert (error.what, error.state, error.next_step, error.exit_code) == ("no file", "served", "wait", NOT_LANDED)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_so_does_one_with_arguments_of_its_own(protocol: int) -> None:
    before = UnknownName("table", "track_titel", KNOWN)
    after = pickle.loads(pickle.dumps(before, protocol))
    assert type(after) is UnknownName
    assert (str(after), after.args, vars(after)) == (str(before), before.args, vars(before))
    assert after.nearest[0] == "track_title_v1"
    assert str(copy.copy(before)) == str(before)


# --- unknown names


KNOWN = ("track_popularity_v1", "track_title_v1", "playlist_changes_v1", "audio_loudness_v1")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("track_popularty_v1", "track_popularity_v1"),
        ("track_popularity", "track_popularity_v1"),
        ("track_popularity_v2", "track_popularity_v1"),
        ("track_titel", "track_title_v1"),
        ("playlist_change", "playlist_changes_v1"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_first(name: str, nearest: str) -> None:
    error = UnknownName("table", name, KNOWN)
    assert error.nearest[0] == nearest
    assert len(error.nearest) <= 3
    assert str(error).startswith(f"unknown table {name!r}\nNext: did you mean {nearest}")


def test_a_name_like_none_is_answered_with_some_there_are() -> None:
    error = UnknownName("table", "zzz", [f"t{n:02}" for n in reversed(range(30))])
    assert error.nearest == tuple(f"t{n:02}" for n in range(10))


def test_with_nothing_known_nothing_is_suggested() -> None:
    error = UnknownName("table", "zzz", [])
    assert error.nearest == ()
    assert "did you mean" not in str(error)
    assert "there is no table yet" in str(error)

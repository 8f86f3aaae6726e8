"""One publication writes a view at a time, and what one that lost its lease still sends is refused."""

from __future__ import annotations

import pickle
import threading
import time
from dataclasses import replace

import pytest

from content_signals.errors import Temporary
from content_signals.features import lease as module
from content_signals.features import online
from content_signals.features.lease import Lease, LeaseLost
from content_signals.features.online import View, Writer
from content_signals.lake.takedowns import taken_down
from content_signals.pipeline.takedown import take_down
from tests.services.conftest import BOTH_STORES
from tests.services.test_online import FEATURES, batch, expected, held

pytestmark = BOTH_STORES


@pytest.fixture
def view(store_settings, store):
    return View(store_settings.online_store.get_secret_value(), "content_signals", "track_v1", "track_id", FEATURES)


def lease(store) -> Lease:
    return Lease(store, "content_signals", "track_v1")


def after_looking(monkeypatch, once) -> None:
    """Have something happen after rows were looked at and before they are written, the first time."""
    decide, happened = online._Rows.decide, []

    def first(self, some, stored):
        outcomes = decide(self, some, stored)
        if not happened:
            happened.append(True)
            once()
        return outcomes

    monkeypatch.setattr(online._Rows, "decide", first)


def test_a_second_publication_waits_for_the_first(store):
    order: list[str] = []

    def second() -> None:
        with lease(store).held(order.append):
            order.append("second")

    with lease(store).held(order.append):
        other = threading.Thread(target=second)
        other.start()
        time.sleep(0.5)
        order.append("first ends")
    other.join()
    assert order == [
        "track_v1: waiting for another run to end, or its lease to run out",
        "first ends",
        "second",
    ]


def test_patience_ends(store):
    told = "another run has held it for 0 s"
    with lease(store).held(print), pytest.raises(Temporary, match=told), lease(store).held(print, patience=0.3):
        pass


def test_a_lease_is_renewed_while_it_is_held(store, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 2.0)
    monkeypatch.setattr(module, "_RENEWED", 0.1)
    with lease(store).held(print):
        time.sleep(3.0)
        with pytest.raises(Temporary), lease(store).held(print, patience=0.1):
            pass


def test_what_a_killed_publication_held_runs_out(store, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.5)
    assert lease(store)._take()
    with lease(store).held(print, patience=5):
        pass


def test_rows_that_an_overtaken_publication_has_looked_at_are_not_written(store, view, monkeypatch):
    """It is stopped between looking and writing, its lease runs out, another one writes newer rows, it wakes up."""
    monkeypatch.setattr(module, "SECONDS", 0.1)
    old, new = batch([("a", 1, 0, 1), ("b", 1, 0, 1)]), batch([("a", 2, 0, 2)])
    zombie = lease(store)
    assert zombie._take()

    def overtake() -> None:
        time.sleep(0.2)
        with lease(store).held(print) as ticket, Writer(view, ticket) as writer:
            writer.write(new)

    after_looking(monkeypatch, overtake)
    with Writer(view, zombie.ticket) as writer, pytest.raises(LeaseLost, match="another publication"):
        writer.write(old)
    assert held(store, view, "a") == expected(new, 0)
    assert held(store, view, "b") == (None, [None] * 3)


def test_a_transaction_looks_again_where_somebody_wrote_meanwhile(store, view, monkeypatch):
    newer = batch([("a", 3, 0, 3)])

    def interfere() -> None:
        with Writer(view) as other:
            other.write(newer)

    after_looking(monkeypatch, interfere)
    with Writer(view) as writer:
        assert writer.write(batch([("a", 2, 0, 2), ("b", 2, 0, 2)])) == {"stale": 1, "written": 1}
    assert held(store, view, "a") == expected(newer, 0)


def test_a_takedown_in_the_middle_of_a_publication_holds(store, store_settings, monkeypatch, tmp_path):
    from content_signals.catalog import catalog
    from content_signals.lake.layout import Lake, start_run
    from content_signals.pipeline.context import Context
    from content_signals.pipeline.takedown import view_of

    context = Context(store_settings, Lake(str(tmp_path)), catalog(), start_run(), print)
    served = view_of(context, catalog().table("track_title_v1"))
    narrow = View(served.url, served.project, served.name, served.join_key, FEATURES)
    after_looking(monkeypatch, lambda: take_down(context, "track", "a", "asked for by the label", "legal"))
    with Lease(store, "content_signals", served.name).held(print) as ticket, Writer(narrow, ticket) as writer:
        assert writer.write(batch([("a", 1, 0, 1), ("b", 1, 0, 1)])) == {"taken down": 1, "written": 1}
    assert held(store, narrow, "a")[1] == [None] * 3
    assert held(store, narrow, "b") == expected(batch([("b", 1, 0, 1)]), 0)
    assert set(taken_down(context.lake, "track")) == {"a"}


def test_a_ticket_goes_to_workers(store):
    ticket = lease(store).ticket
    assert pickle.loads(pickle.dumps(ticket)) == ticket


def test_into_an_empty_view_rows_are_written_without_looking_until_somebody_else_has_written(store, view, monkeypatch):
    looked = []
    looks = online._Rows.looks
    monkeypatch.setattr(online._Rows, "looks", lambda self, some: looked.append(some) or looks(self, some))
    mine = lease(store)
    with mine.held(print) as ticket, Writer(view, replace(ticket, empty=True)) as writer:
        assert writer.write(batch([("a", 1, 0, 1)])) == {"written": 1}
        assert not looked
        with Writer(view) as other:  # as a takedown does
            other.write(batch([("b", 9, 0, 9)]), "take")
        mine.end_connections()
        assert writer.write(batch([("b", 1, 0, 1), ("c", 1, 0, 1)])) == {"taken down": 1, "written": 1}
        with Writer(view, replace(ticket, empty=True)) as late:  # a connection that is new after it
            assert late.write(batch([("b", 2, 0, 2)])) == {"taken down": 1}
    with lease(store).held(print) as ticket, Writer(view, replace(ticket, empty=True)) as writer:
        looked.clear()
        writer.write(batch([("d", 1, 0, 1)]))
        assert not looked  # of another publication it knows nothing


def test_a_lease_that_was_lost_is_not_taken_back(store, monkeypatch):
    """Another publication took it over and has ended since: what the first still has to write is older."""
    monkeypatch.setattr(module, "SECONDS", 0.2)
    monkeypatch.setattr(module, "_RENEWED", 0.5)
    first = lease(store)
    with first.held(print) as ticket:
        time.sleep(0.3)  # it has run out
        with lease(store).held(print):
            pass
        time.sleep(0.5)  # renewed in vain
        assert store.hget(ticket.key, b"holder") is None

"""Small parts: money and tokens, failures and waits, secrets, and the file a run is read from."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from decimal import Decimal
from email.utils import formatdate

import pytest
from pydantic import SecretStr, ValidationError

from content_signals.errors import UsageError
from content_signals.llm.costs import Price, micros, tokens_of
from content_signals.llm.failure import Failure, Kind, Retry, of_status, retry_after
from content_signals.llm.ledger.store import LedgerAt
from content_signals.llm.redaction import Redactor
from content_signals.llm.run import run_of
from tests.llm import endpoint, request_of, run_in

SECRET = "sk-proj-4f9a8b7c6d5e"


@pytest.mark.parametrize(
    ("amount", "expected"),
    [(Decimal("0.15"), 150_000), ("2.5", 2_500_000), (25, 25_000_000), (0, 0), (Decimal("0.000001"), 1)],
)
def test_money_is_whole_micro_units(amount, expected):
    assert micros(amount) == expected


@pytest.mark.parametrize("amount", ["0.0000001", -1, "a lot", Decimal("NaN"), Decimal("Infinity")])
def test_no_amount_is_refused(amount):
    with pytest.raises(UsageError):
        micros(amount)


def test_a_price_is_rounded_up_and_never_a_float():
    price = Price(150_000, 600_000)  # 0.15 and 0.60 a million
    assert price.of(1, 0) == 1
    assert price.of(1000, 200) == 150 + 120
    assert price.of(10**12, 10**12) == 750_000 * 10**6
    assert sum(price.of(20, 5) for _ in range(1_000_000)) == 6_000_000


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("a", 1), ("abcdef", 2), ("абв", 2), ("東京都", 3), ("🔥", 2)])
def test_tokens_are_estimated_by_bytes(text, tokens):
    assert tokens_of(text, 3.0) == tokens


NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": formatdate(NOW + 30, usegmt=True)}, 30),
        ({"retry-after": formatdate(NOW - 30, usegmt=True)}, 0),
        ({"retry-after": "soon"}, 0),
        # no longer than an hour: a time for a number of seconds, a day, a date far away
        ({"retry-after": str(int(NOW) + 5)}, 3600),
        ({"retry-after": "86400"}, 3600),
        ({"retry-after-ms": "86400000"}, 3600),
        ({"retry-after": "1e300"}, 3600),
        ({"retry-after": formatdate(NOW + 86_400, usegmt=True)}, 3600),
        ({"retry-after": "Wed, 21 Oct 9999 07:28:00 -2359"}, 3600),
        # dates that are none
        ({"retry-after": "Wed, 21 Oct 99999999999999999999 07:28:00 GMT"}, 0),
        ({"retry-after": "Wed, 21 Oct 2099 07:28:00 +99999999999999"}, 0),
        ({"retry-after": "Wed, 99 Oct 2099 07:28:00 GMT"}, 0),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "inf"}, 0),
        ({"retry-after": "nan"}, 0),
    ],
)
def test_how_long_an_endpoint_asks_to_wait(headers, seconds):
    assert retry_after(headers, NOW) == pytest.approx(seconds, abs=1)


@pytest.mark.parametrize(
    ("status", "said", "kind", "passing"),
    [
        (429, "rate_limit_exceeded: slow down", Kind.BUSY, True),
        (429, "20 calls a minute; buy credits for more, or your insufficient_quota stays", Kind.BUSY, True),
        (401, "invalid_api_key", Kind.CLOSED, False),
        (403, "", Kind.CLOSED, False),
        (404, "model_not_found", Kind.CLOSED, False),
        (400, "context_length_exceeded", Kind.REFUSED, False),
        (413, "", Kind.REFUSED, False),
        (422, "", Kind.REFUSED, False),
        (408, "", Kind.SERVER, True),
        (409, "", Kind.SERVER, True),
        (500, "", Kind.SERVER, True),
        (503, "loading model", Kind.SERVER, True),
        (529, "overloaded", Kind.SERVER, True),
    ],
)
def test_what_a_status_means(status, said, kind, passing):
    failure = of_status(status, {"retry-after": "3"}, said, NOW)
    assert (failure.kind, failure.passing) == (kind, passing)
    assert str(status) in failure.error
    assert said in failure.error
    assert not failure.billed
    assert failure.retry_after == (3 if passing else 0)


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["insufficient_quota"], Kind.CLOSED),
        (["429", "insufficient_quota"], Kind.CLOSED),
        (["billing_hard_limit_reached", "x"], Kind.CLOSED),
        (["rate_limit_exceeded", "requests"], Kind.BUSY),
        (["insufficient_quota_soon"], Kind.BUSY),
        ([], Kind.BUSY),
    ],
)
def test_an_account_is_used_up_where_the_errors_code_or_type_says_so(names, kind):
    assert of_status(429, {}, "buy credits: insufficient_quota", NOW, names).kind is kind


def test_waits_are_random_below_a_bound_that_doubles_and_never_shorter_than_asked():
    retry = Retry(first_seconds=2, max_seconds=30)
    failure = Failure(Kind.SERVER, "down")
    assert [retry.wait(n, failure, lambda: 1.0) for n in range(1, 7)] == [2, 4, 8, 16, 30, 30]
    assert retry.wait(5, failure, lambda: 0.0) == 0
    assert retry.wait(10_000, failure, lambda: 1.0) == 30
    assert retry.wait(1, replace(failure, retry_after=12), lambda: 1.0) == 12


def test_secrets_are_masked():
    redactor = Redactor(SecretStr(SECRET))
    assert SECRET not in redactor.text(f"you sent {SECRET}!")
    assert redactor.line("Incorrect API key provided: sk-abc***xyz.\nTry again") == (
        "Incorrect API key provided: ***. Try again"
    )
    assert redactor.line("Authorization: Bearer abc.def") == "Authorization: Bearer ***"
    assert redactor.line("no way by http://me:word@proxy:3128") == "no way by http://***@proxy:3128"
    assert redactor.text("we use sk-learn") == "we use sk-learn", "an answer's own words stay"
    assert len(redactor.line("x" * 10_000)) == 300
    assert SECRET not in repr(redactor)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/v1",
        "host/v1",
        "http:///v1",
        f"https://user:{SECRET}@host/v1",
        f"https://host/v1?key={SECRET}",
        "https://[bad/v1",
    ],
)
def test_a_url_that_is_none_or_holds_a_secret_is_refused_without_being_shown(url):
    with pytest.raises(ValidationError) as told:
        endpoint(base_url=url)
    assert SECRET not in str(told.value)


def test_a_key_comes_from_the_environment_by_name():
    mine = endpoint(key_name="MY_KEY")
    assert mine.key({"MY_KEY": f" {SECRET}\n"}).get_secret_value() == SECRET
    assert endpoint().key({}) is None
    with pytest.raises(UsageError, match="no MY_KEY"):
        mine.key({"MY_KEY": " "})
    with pytest.raises(ValidationError):
        endpoint(key_name=SECRET)


@pytest.mark.parametrize("bad", ["\n", "\r\n x-more: 1", "\x00", "\x7f", "…", "é", "\u200b", "\ud800"])
def test_a_key_that_no_header_can_hold_is_refused_without_being_shown(bad):
    with pytest.raises(UsageError, match="MY_KEY has a character that no key has") as told:
        endpoint(key_name="MY_KEY").key({"MY_KEY": f"{SECRET}{bad}{SECRET}"})
    assert SECRET not in f"{told.value} {told.value!r}"


def test_a_run_as_it_is_sent_to_workers_holds_no_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", SECRET)
    run = run_in(tmp_path, at={"key_name": "MY_KEY"})
    assert SECRET.encode() not in pickle.dumps(run)
    assert SECRET not in repr(run)
    assert pickle.loads(pickle.dumps(run)).identity == run.identity


@pytest.mark.parametrize(("path", "url_name"), [("", ""), ("x", "Y")])
def test_a_ledger_is_in_one_place(path, url_name):
    with pytest.raises(UsageError, match="path or url_name"):
        LedgerAt(path, url_name)


@pytest.mark.parametrize("value", [None, f"http://:{SECRET}@host", f"redis://:{SECRET}@127.0.0.1:1/0"])
def test_a_ledgers_url_is_never_shown(monkeypatch, value):
    if value:
        monkeypatch.setenv("LEDGER_URL", value)
    with pytest.raises(Exception, match=r"LEDGER_URL|ledger's server") as told:
        LedgerAt(url_name="LEDGER_URL").open()
    assert SECRET not in f"{told.value!r} {told.value} {told.value.__cause__}"


FILE = """
[endpoint]
base_url = "https://models.internal/v1/"
weights = "2026-08-07"
key_name = "MODELS_KEY"
input_per_million = 0.15
output_per_million = 0.60
call_seconds = 90
[limits]
concurrency = 4
requests_per_minute = 500
[budget]
calls = 1000
money = 2.5
[ledger]
path = "/var/lib/ledger.sqlite"
"""


def read(tmp_path, text=FILE):
    (tmp_path / "llm.toml").write_text(text)
    return run_of(tmp_path / "llm.toml", run_in(tmp_path).task, "run-7", attempt="a1", began=1_000.0)


def test_a_run_is_read_from_a_file(tmp_path):
    run = read(tmp_path)
    assert run.endpoint.base_url == "https://models.internal/v1"
    assert (run.endpoint.input_micros_per_million, run.endpoint.output_micros_per_million) == (150_000, 600_000)
    assert (run.endpoint.call_seconds, run.rules.limits.concurrency) == (90, 4)
    assert (run.rules.budget.name, run.rules.budget.calls, run.rules.budget.money_micros) == ("run-7", 1000, 2_500_000)
    assert (run.ledger.path, run.stop_at, run.at_once) == ("/var/lib/ledger.sqlite", None, 16)


def test_a_run_has_hours_from_its_beginning(tmp_path):
    run = read(tmp_path, FILE + "[run]\nhours = 1.5\nat_once = 3\n")
    assert (run.stop_at, run.at_once, run.rules.budget.attempt) == (1_000.0 + 5_400, 3, "a1")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('weights = "2026-08-07"\n', "", "endpoint.weights: Field required"),
        ("concurrency = 4", "concurrency = 0", "limits.concurrency"),
        ("concurrency = 4", "at_once = 4", "limits.at_once: Extra inputs"),
        ("money = 2.5", "money = -1", r"llm\.toml: budget\.money: -1 is no amount"),
        ("money = 2.5", "money = 2020-01-01", r"llm\.toml: budget\.money: .* is no amount"),
        ("= 0.15", "= [1]", r"llm\.toml: endpoint\.input_per_million: .* is no amount"),
        ("= 90", "= 90\nextra = {t = [2020-01-01]}", "endpoint.extra: .*t is nothing that JSON has"),
        ("= 90", "= 90\nextra = {t = {u = inf}}", "endpoint.extra: .*t is nothing that JSON has"),
        ("[budget]", "[budgets]", "budgets"),
        ("[budget]", "[budget", "cannot be read"),
        ('path = "/var/lib/ledger.sqlite"', "", "path or url_name"),
        ("[limits]", "limits = 3\n[other]", "is wrong"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, old, new, told):
    assert old in FILE
    with pytest.raises(UsageError, match=told):
        read(tmp_path, FILE.replace(old, new))


@pytest.mark.parametrize("value", ["5", "0.5", "[0.5]", '"much"'])
def test_a_section_that_is_none_is_named(tmp_path, value):
    sections = FILE.replace("[budget]\ncalls = 1000\nmoney = 2.5\n", "")
    with pytest.raises(UsageError, match=r"llm\.toml is wrong: budget: "):
        read(tmp_path, f"budget = {value}\n{sections}")
    budget = read(tmp_path, sections).rules.budget
    assert (budget.name, budget.calls, budget.money_micros) == ("run-7", None, None), "a file may have none at all"


def test_decimals_of_further_entries_are_numbers_however_deep_they_stand(tmp_path):
    extra = "extra = {penalty = 1.1, deep = {list = [0.5, {more = 2.25}], n = 3}}"
    run = read(tmp_path, FILE.replace("call_seconds = 90", extra))
    assert run.endpoint.extra == {"penalty": 1.1, "deep": {"list": [0.5, {"more": 2.25}], "n": 3}}
    sent = json.dumps(request_of(run).body)
    assert '"penalty": 1.1, "deep": {"list": [0.5, {"more": 2.25}], "n": 3}' in sent
    assert len(run.identity.prefix) == 64


@pytest.mark.parametrize("prices", ["", "input_per_million = 0\noutput_per_million = 0.0\n"])
@pytest.mark.parametrize("money", ["25", "0"])
def test_a_budget_of_money_without_a_price_is_refused(tmp_path, prices, money):
    without = FILE.replace("input_per_million = 0.15\noutput_per_million = 0.60\n", prices)
    with pytest.raises(UsageError, match="limits nothing where a call costs nothing") as told:
        read(tmp_path, without.replace("money = 2.5", f"money = {money}"))
    assert "input_per_million" in told.value.next_step
    assert read(tmp_path, without.replace("money = 2.5", "")).rules.budget.money_micros is None
    one = read(tmp_path, FILE.replace("output_per_million = 0.60\n", ""))
    assert one.rules.budget.money_micros == 2_500_000, "one price is enough"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"llm\.toml cannot be read"):
        run_of(tmp_path / "llm.toml", run_in(tmp_path).task, "run-7")

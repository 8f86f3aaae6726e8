"""All that a run of calls is told: what is asked, where, and its limits. It goes to every worker; secrets do not."""

from __future__ import annotations

import time
import tomllib
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from content_signals.errors import UsageError
from content_signals.llm.costs import Price, micros
from content_signals.llm.endpoint import Endpoint
from content_signals.llm.excerpts import BY_WORDS, Ranking
from content_signals.llm.failure import Retry
from content_signals.llm.ledger.limits import Breaker, Budget, Limits, Rules
from content_signals.llm.ledger.store import LedgerAt
from content_signals.llm.request import Identity, identity
from content_signals.llm.task import Task

# Beyond the limit of a call: to keep its reply, on a machine that is busy.
_SLACK_SECONDS = 15.0
# Entries of the file that are money, and the fields they fill in micro-units.
_MONEY = {
    ("endpoint", "input_per_million"): "input_micros_per_million",
    ("endpoint", "output_per_million"): "output_micros_per_million",
    ("budget", "money"): "money_micros",
}


class _Ledger(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = ""
    url_name: str = ""


class _Worker(BaseModel):
    """How long a run may take, and how many items each of its workers has in hand."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hours: float | None = Field(default=None, gt=0)
    at_once: int = Field(default=16, ge=1)


class _File(BaseModel):
    """The file of an endpoint and its limits. Each section is the class of its name."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    endpoint: Endpoint
    limits: Limits = Limits()
    budget: Budget
    breaker: Breaker = Breaker()
    retry: Retry = Retry()
    ledger: _Ledger
    run: _Worker = _Worker()


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        stop_at: seconds since 1970; no call begins later, and nobody waits longer.
        at_once: items a worker has in hand: some wait for the ledger while others are under way.
        ranking: how parts of long transcripts are chosen.
    """

    task: Task
    endpoint: Endpoint
    rules: Rules
    retry: Retry
    ledger: LedgerAt
    stop_at: float | None = None
    at_once: int = 16
    ranking: Ranking = BY_WORDS

    @property
    def identity(self) -> Identity:
        """What names the replies of this run, beside the content."""
        return identity(self.task.prompt, self.endpoint, self.ranking)

    @property
    def claim_seconds(self) -> float:
        """How long a worker may be silent about a call before another asks, and the call counts in full."""
        return self.endpoint.call_seconds + _SLACK_SECONDS


def run_of(file: str | Path, task: Task, name: str, *, attempt: str = "", began: float | None = None) -> Run:
    """The run that a TOML file describes, under a name that its budget is kept by.

    Args:
        attempt: see `Budget`.
        began: seconds since 1970, from which the deadline counts, `hours` of the section `run`; None: now.

    Amounts of money are written in units of the currency: `input_per_million = 0.15`, `money = 25`. They are read as
    decimals, never as floats.

    Raises:
        UsageError: naming the entry that is wrong; or there is a budget of money, and no price.
    """
    path = Path(file)
    try:
        values = _in_micros(path, tomllib.loads(path.read_text("utf-8"), parse_float=Decimal))
        if isinstance(values.setdefault("budget", {}), dict):
            values["budget"] |= {"name": name, "attempt": attempt}
        kept = _File.model_validate(values)
        ledger = LedgerAt(**kept.ledger.model_dump())
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
        raise UsageError(f"{path} is wrong: {told}", next_step=f"mend {path}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}", next_step=f"mend {path}") from None
    if kept.budget.money_micros is not None and kept.endpoint.price == Price():
        raise UsageError(
            f"{path}: [budget] money = … limits nothing where a call costs nothing",
            next_step="give input_per_million and output_per_million in [endpoint], or leave money out",
        )
    stop_at = None if kept.run.hours is None else (began or time.time()) + kept.run.hours * 3600
    rules = Rules(kept.limits, kept.budget, kept.breaker)
    return Run(task, kept.endpoint, rules, kept.retry, ledger, stop_at, kept.run.at_once)


def _in_micros(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Sections with their money in micro-units, and other decimals as floats.

    Raises:
        UsageError: naming the entry that is no amount of money.
    """
    made: dict[str, Any] = {}
    for section, entries in values.items():
        made[section] = {} if isinstance(entries, dict) else _plain(entries)
        for name, value in entries.items() if isinstance(entries, dict) else ():
            field = _MONEY.get((section, name))
            try:
                made[section][field or name] = micros(value) if field else _plain(value)
            except UsageError as error:
                raise UsageError(f"{path}: {section}.{name}: {error.what}", next_step=error.next_step) from None
    return made


def _plain(value: Any) -> Any:
    """What TOML has, its decimals as floats, however deep they stand."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return float(value) if isinstance(value, Decimal) else value

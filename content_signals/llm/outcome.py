"""What became of an item: judged from its reply, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from content_signals.llm.grounding import Evidence, Transcript
from content_signals.llm.reply import Reply
from content_signals.llm.schema import Invalid, Unparsed, read_answer


class Status(StrEnum):
    """What became of an item. Of the first six there is a reply, which was paid for."""

    OK = "ok"
    UNPARSED = "unparsed"  # the reply is not JSON
    INVALID = "invalid"  # JSON, but not of the schema
    CUT_OFF = "cut_off"  # the limit of tokens came before the end of the answer
    DECLINED = "declined"  # the model, or a filter before it, would not answer
    UNGROUNDED = "ungrounded"  # a quote is not in the transcript
    EMPTY = "empty"  # there is nothing to ask about
    TOO_LONG = "too_long"  # prompt and answer do not fit the model, or a limit
    REFUSED = "refused"  # the endpoint found fault with this call
    FAILED = "failed"  # no answer in any attempt
    NOT_ASKED = "not_asked"  # the run ended first

    @property
    def settled(self) -> bool:
        """Whether asking again would bring the same: with a reply there is nothing to ask, and neither with no text."""
        return self in _SETTLED


_SETTLED = frozenset(
    {Status.OK, Status.UNPARSED, Status.INVALID, Status.CUT_OFF, Status.DECLINED, Status.UNGROUNDED, Status.EMPTY}
)


@dataclass(frozen=True)
class Unanswered:
    """Why there is no reply, after how many calls."""

    status: Status
    error: str
    attempts: int = 0


@dataclass(frozen=True)
class Outcome:
    """An item's row.

    Attributes:
        answer: what the model answered; only where the status is ok.
        evidence: the quotes that support it, with their places in the transcript.
        error: why there is no answer.
        reply: what was paid for, good or not.
    """

    status: Status
    answer: dict[str, Any] | None = None
    evidence: tuple[Evidence, ...] = ()
    error: str = ""
    reply: Reply | None = None
    attempts: int = 0


def judge(reply: Reply, transcript: str, model: type[BaseModel]) -> Outcome:
    """What a reply is worth: nothing, if any quote of it is not in the transcript."""

    def rejected(status: Status, error: str) -> Outcome:
        return Outcome(status, error=error, reply=reply, attempts=reply.attempts)

    if reply.refused or reply.finish_reason == "content_filter":
        return rejected(Status.DECLINED, "the model declined" if reply.refused else "a filter of the endpoint")
    try:
        read = read_answer(reply.text, model)
    except Unparsed as error:
        if reply.finish_reason == "length":
            return rejected(Status.CUT_OFF, f"cut off after {reply.output_tokens} tokens")
        return rejected(Status.UNPARSED, f"not JSON: {error}")
    except Invalid as error:
        return rejected(Status.INVALID, str(error))
    answer = read.model_dump(mode="json")
    evidence, missing = Transcript(transcript).evidence(answer)
    if missing:
        return rejected(Status.UNGROUNDED, f"not in the transcript: the quote of {', '.join(missing)}")
    return Outcome(Status.OK, answer, tuple(evidence), reply=reply, attempts=reply.attempts)


def unanswered(why: Unanswered) -> Outcome:
    """The row of an item without a reply."""
    return Outcome(why.status, error=why.error, attempts=why.attempts)

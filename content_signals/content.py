"""What of a row its signals are made from, and nothing else: what has been computed of it is never computed again."""

from __future__ import annotations

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from content_signals.declaration import STRICT, Declaration, check_name, require

CONTENT_ID = "content_id"  # SHA-256 of a content, 64 hexadecimal digits
REASON = "reason"  # why nothing can be made of it; null where something was


@dataclass(frozen=True, config=STRICT)
class Content(Declaration):
    """The part of a driver's row that a table's signals depend on. Each content is computed once for a revision.

    Attributes:
        reads: columns that `compute` is given; those that the driver keeps by content among them.
        revision: names what computes, that is the models and the code. Under another one everything is computed anew.
        id: the driver's column with the SHA-256 of the content; "": it is taken over `reads`.
        each: columns among `reads` that tell the rows of one content apart, where it has several.
        batch: so many contents are computed before their results are kept.
    """

    reads: tuple[str, ...]
    revision: str
    id: str = ""
    each: tuple[str, ...] = ()
    batch: int = 50_000

    @model_validator(mode="after")
    def _check(self) -> Content:
        require(bool(self.reads), "content: name the columns that compute reads")
        for name in self.reads:
            check_name("column", name, "content: ")
            require(name not in (CONTENT_ID, REASON), f"content: {name} is written by the platform")
        require(bool(self.revision), "content: give a revision")
        require(set(self.each) <= set(self.reads), "content: `each` names columns that compute reads")
        require(not self.each or bool(self.id), "content: several rows of one content need its `id`")
        require(self.batch >= 1, f"content: a batch has at least one content, not {self.batch}")
        return self

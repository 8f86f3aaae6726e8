"""What of a row its signals are made from, and nothing else: what has been computed of it is never computed again."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from content_signals.declaration import STRICT, Declaration, check_name, require

CONTENT_ID = "content_id"  # SHA-256 of a content, 64 hexadecimal digits
REASON = "reason"  # why nothing can be made of it; null where something was
AGAIN = "again"  # true where it is to be computed again by the next run: what is kept is the last attempt


@dataclass(frozen=True, config=STRICT)
class Need(Declaration):
    """An environment variable that names what computing takes and not every installation has: a language model, say.

    Where it is not set, whatever builds all tables leaves those that need it out, and says why; asked for by name they
    are refused.

    Attributes:
        variable: its name. It is looked up where Airflow and the jobs run.
        about: what it names, and how to come by it.
    """

    variable: str
    about: str

    @model_validator(mode="after")
    def _check(self) -> Need:
        named = self.variable.isidentifier() and self.variable.isupper()
        require(named, f"need: {self.variable!r} is no name of an environment variable (A-Z, 0-9, _)")
        require(bool(self.about), f"need {self.variable}: say what it names")
        return self

    def is_met(self, environment: Mapping[str, str]) -> bool:
        """Whether the variable is set, to more than white space."""
        return bool(environment.get(self.variable, "").strip())


@dataclass(frozen=True, config=STRICT)
class Content(Declaration):
    """The part of a driver's row that a table's signals depend on. Each content is computed once for a revision.

    Attributes:
        reads: columns that `compute` is given; those that the driver keeps by content among them.
        revision: names what computes, that is the models and the code. Under another one everything is computed anew.
        routing: names how rows are chosen of which nothing need be computed. Under another one days are made anew, of
            what is kept as far as it goes.
        id: the driver's column with the SHA-256 of the content; "": it is taken over `reads`.
        each: columns among `reads` that tell the rows of one content apart, where it has several.
        batch: so many contents are computed before their results are kept, and a line says how far it is; of many a
            hundredth.
        needs: what computing takes that not every installation has.
        installed: results follow from that, too: the family's `installed()` names which it is, and under another one
            everything is computed anew.
    """

    reads: tuple[str, ...]
    revision: str
    routing: str = ""
    id: str = ""
    each: tuple[str, ...] = ()
    batch: int = 50_000
    needs: tuple[Need, ...] = ()
    installed: bool = False

    @model_validator(mode="after")
    def _check(self) -> Content:
        require(bool(self.reads), "content: name the columns that compute reads")
        for name in self.reads:
            check_name("column", name, "content: ")
            require(name not in (CONTENT_ID, REASON, AGAIN), f"content: {name} is written by the platform")
        require(bool(self.revision), "content: give a revision")
        require(set(self.each) <= set(self.reads), "content: `each` names columns that compute reads")
        require(not self.each or bool(self.id), "content: several rows of one content need its `id`")
        require(bool(self.needs) or not self.installed, "content: say what is installed in `needs`")
        require(self.batch >= 1, f"content: a batch has at least one content, not {self.batch}")
        return self

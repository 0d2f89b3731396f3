"""A protocol: how an answer is scored, what a judge is asked, and what is reported."""

from collections.abc import Callable
from dataclasses import dataclass

from gog.transforms.evaluate.items import BenchItem
from gog.transforms.evaluate.protocols.measures import Measures
from gog.transforms.evaluate.protocols.scores import Grade, Score, Settled, graded
from gog.transforms.services.protocols import ChatRequest


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a benchmark is scored.

    `score` settles an answer by rule where the protocol has one. Where it says `needs_judge`, `ask` makes the request
    and `read` the grade out of the reply: unknown where it cannot be read, which is never incorrect.
    The first of the `measures` is the number that the benchmark is known by.
    """

    name: str
    score: Callable[[BenchItem, str], Score]
    groups: Callable[[BenchItem], tuple[str, ...]]
    measures: Measures
    ask: Callable[[BenchItem, str], ChatRequest] | None = None
    read: Callable[[str], Grade] | None = None
    prompt: str = ""
    """Name of the judge's prompt file, for a protocol that has a judge."""

    def judged(self, item: BenchItem, reply: str, judge: str = "") -> Score:
        """The score that a judge's reply makes. Only for a protocol that has a judge."""
        assert self.read is not None
        return self.said(item, self.read(reply), reply, judge)

    def said(self, item: BenchItem, grade: Grade, reply: str, judge: str = "") -> Score:
        """The score of the grade that a judge gave, or a panel."""
        method: Settled = "none" if grade is Grade.UNKNOWN else "judge"
        return graded(item, self.name, grade, method, self.groups(item), judge=judge, reply=reply)

    def unknown(self, item: BenchItem, judge: str = "", reply: str = "") -> Score:
        """The score of an item that nobody could settle: the judge failed, or no answer could be had of the outside."""
        return graded(item, self.name, Grade.UNKNOWN, "none", self.groups(item), judge=judge, reply=reply)

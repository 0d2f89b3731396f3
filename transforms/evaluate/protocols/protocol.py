"""A protocol: how an answer is scored, what a judge is asked, and what is reported."""

from collections.abc import Callable
from dataclasses import dataclass

from gog.transforms.evaluate.items import BenchItem
from gog.transforms.evaluate.protocols.measures import Measures
from gog.transforms.evaluate.protocols.scores import Grade, Score, graded
from gog.transforms.services.protocols import ChatRequest


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a benchmark is scored.

    `score` settles an answer by rule where the protocol has one. Where it says `needs_judge`, `ask` makes the request
    and `read` the score out of the reply: None when the reply cannot be read, which is unknown and never incorrect.
    The first of the `measures` is the number that the benchmark is known by.
    """

    name: str
    score: Callable[[BenchItem, str], Score]
    groups: Callable[[BenchItem], tuple[str, ...]]
    measures: Measures
    ask: Callable[[BenchItem, str], ChatRequest] | None = None
    read: Callable[[BenchItem, str | None, str], Score | None] | None = None
    prompt: str = ""
    """Name of the judge's prompt file, for a protocol that has a judge."""

    def unknown(self, item: BenchItem, judge: str = "", reply: str = "") -> Score:
        """The score of an item that nobody could settle: the judge failed, or no answer could be had of the outside."""
        return graded(item, self.name, Grade.UNKNOWN, "none", self.groups(item), judge=judge, reply=reply)

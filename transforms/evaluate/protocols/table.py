"""The protocols by name: how an answer is scored, what a judge is asked, and what is reported."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gog.transforms.evaluate.benchmarks.items import BenchItem
from gog.transforms.evaluate.protocols import atlas, dynvqa, infoseek, livevqa, mmsearch, peers, simplevqa
from gog.transforms.evaluate.protocols.measures import Cell, Measure, Measures, harmonic, mean, means, ratio
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


def _infoseek(cells: Sequence[Cell]) -> Mapping[str, Measure]:
    splits = means(cells, ("unseen_question", "unseen_entity"))
    final = {"final": harmonic(list(splits.values()))} if len(splits) == 2 else {}
    return final | {"accuracy": mean(cells)} | splits | means(cells, ("string", "time", "numerical"))


def _simplevqa(cells: Sequence[Cell]) -> Mapping[str, Measure]:
    correct, attempted = _correct(cells), _attempted(cells)
    everyone = [True] * len(cells)
    # The harmonic mean of correct/all and correct/attempted.
    f1 = ratio((2 * right for right in correct), (1 + tried for tried in attempted))
    return {
        "f1": f1,
        "correct": ratio(correct, everyone),
        "incorrect": ratio((each.grade is Grade.INCORRECT for each in cells), everyone),
        "not_attempted": ratio((not tried for tried in attempted), everyone),
        "accuracy_attempted": ratio(correct, attempted),
    }


def _livevqa(cells: Sequence[Cell]) -> Mapping[str, Measure]:
    measures: dict[str, Measure] = {}
    present = {group for each in cells for group in each.groups}
    for group in ("", *sorted(present)):
        inside = [not group or group in each.groups for each in cells]
        correct = [right and here for right, here in zip(_correct(cells), inside, strict=True)]
        attempted = [tried and here for tried, here in zip(_attempted(cells), inside, strict=True)]
        prefix = f"{group}_" if group else ""
        measures[f"{prefix}accuracy_overall"] = ratio(correct, inside)
        measures[f"{prefix}accuracy_attempted"] = ratio(correct, attempted)
    return measures


def _correct(cells: Sequence[Cell]) -> list[bool]:
    return [each.grade is Grade.CORRECT for each in cells]


def _attempted(cells: Sequence[Cell]) -> list[bool]:
    return [each.grade is not Grade.NOT_ATTEMPTED for each in cells]


def _mean_as(name: str) -> Measures:
    return lambda cells: {name: mean(cells)} | means(cells)


JUDGE: Final = Protocol(
    peers.NAME, peers.score, peers.groups, _mean_as("accuracy"), peers.ask, peers.read, prompt=peers.PROMPT
)
"""What search agents report on every benchmark: accuracy by a judge."""

_SIMPLEVQA: Final = Protocol(
    simplevqa.NAME,
    simplevqa.score,
    simplevqa.groups,
    _simplevqa,
    simplevqa.ask,
    simplevqa.read,
    prompt=simplevqa.PROMPT,
)
_LIVEVQA: Final = Protocol(
    livevqa.NAME, livevqa.score, livevqa.groups, _livevqa, livevqa.ask, livevqa.read, prompt=livevqa.PROMPT
)

OFFICIAL: Final[Mapping[str, Protocol]] = {
    "fvqa": JUDGE,
    "infoseek": Protocol(infoseek.NAME, infoseek.score, infoseek.groups, _infoseek),
    "simplevqa": _SIMPLEVQA,
    "mmsearch": Protocol(mmsearch.NAME, mmsearch.score, mmsearch.groups, _mean_as("f1")),
    "livevqa": _LIVEVQA,
    "dynvqa": Protocol(dynvqa.NAME, dynvqa.score, dynvqa.groups, _mean_as("recall")),
    "atlas": Protocol(atlas.NAME, atlas.score, atlas.groups, _mean_as("accuracy")),
}
"""Each benchmark's own protocol, by the benchmark's name."""

PROTOCOLS: Final[Mapping[str, Protocol]] = {each.name: each for each in (JUDGE, *OFFICIAL.values())}
"""Every protocol by its own name, as scores carry it."""

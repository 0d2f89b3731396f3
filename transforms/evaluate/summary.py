"""What a run of scores says: counts, and the protocol's measures with their intervals."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gog.transforms.evaluate.benchmark import BENCHMARKS, protocol_named
from gog.transforms.evaluate.protocols.measures import NOTHING, RESAMPLES, Estimate, cell, estimate, resampled, tally
from gog.transforms.evaluate.protocols.peers import JUDGE
from gog.transforms.evaluate.protocols.scores import Grade, ProtocolError, Score


@dataclass(frozen=True, slots=True)
class Summary:
    """The scores of one protocol. Measures are over the settled scores: unknown ones are counted, never as wrong.

    `measures` are shares from 0 to 1, the first of them the protocol's headline; one over nothing has the value None.
    """

    protocol: str
    n: int
    unknown: int
    needs_judge: int
    """Of the unknown: no judge was asked."""
    by_rule: int
    """Settled without a judge."""
    grades: Mapping[Grade, int]
    """How many of each, in the order of `Grade`."""
    measures: Mapping[str, Estimate]

    @property
    def headline(self) -> tuple[str, Estimate]:
        """Name and estimate of what the benchmark is known by; of nothing where nothing could be measured."""
        return next(iter(self.measures.items()), ("nothing", NOTHING))


def summarise(scores: Iterable[Score], *, resamples: int = RESAMPLES, seed: int = 0) -> Summary:
    """The summary of one protocol's scores; their order does not matter.

    Intervals are 95% percentile bootstrap by item (Efron 1979), with a seed: equal scores, equal intervals. Raises
    `ProtocolError` when there are no scores, scores of several protocols, or two of one item.
    """
    scores = list(scores)
    name = one_protocol(scores)
    cells, counts = tally(each for score in scores if (each := cell(score)) is not None)
    draws = resampled(counts, resamples, seed)
    measures = protocol_named(name).measures(cells)
    return Summary(
        protocol=name,
        n=len(scores),
        unknown=sum(score.value is None for score in scores),
        needs_judge=sum(score.needs_judge for score in scores),
        by_rule=sum(score.value is not None and score.method != "judge" for score in scores),
        grades={grade: sum(score.grade is grade for score in scores) for grade in Grade},
        measures={name: estimate(measure, counts, draws) for name, measure in measures.items()},
    )


def one_protocol(scores: Iterable[Score]) -> str:
    """The name of the protocol that all scores are of, an item each. `ProtocolError` otherwise."""
    names: set[str] = set()
    items: set[str] = set()
    for score in scores:
        if score.item_id in items:
            raise ProtocolError(f"item {score.item_id} has two scores: summarise one run at a time")
        items.add(score.item_id)
        names.add(score.protocol)
    if len(names) != 1 or not all(name == JUDGE.name or name in BENCHMARKS for name in names):
        raise ProtocolError(f"scores of one protocol wanted, got {sorted(names) or 'none'}")
    return names.pop()

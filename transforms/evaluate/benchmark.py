"""A benchmark as one object: its published files, its splits, its official protocol, what the paper reports of it.

Ours are the modules of `benchmarks/`. One of yours is an entry point of the group `gog.benchmarks`: its object is a
`Benchmark` of the entry point's name. Nothing else of the engine names a benchmark.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gog.transforms.evaluate.items import BenchItem
from gog.transforms.evaluate.protocols.peers import JUDGE
from gog.transforms.evaluate.protocols.protocol import Protocol
from gog.transforms.evaluate.questions import PublishedSet, Question
from gog.transforms.open_set import OpenSet


@dataclass(frozen=True)
class Benchmark:
    """What the engine knows of a benchmark. It has files (`published`), or is bundled (`items`); neither is one of
    somebody's own questions.
    """

    name: str
    splits: tuple[str, ...]
    """The first is the one that results are compared on."""
    version: str
    """Revision that the adapter was written for; empty where the name of the file has it."""
    where: str
    """What its path names."""
    official: Protocol
    """Named as the benchmark, unless it is the judge protocol."""
    published: PublishedSet | None = None
    items: Callable[[], Iterator[BenchItem]] | None = None
    as_it_lies: Callable[[str, str], tuple[PublishedSet, str]] | None = None
    """The set and the files (a path or a pattern) at a path, for a split: for a set that is published in two forms."""
    left_out: Callable[[str, Question], str] = lambda split, question: ""
    """Why a question is not of a split; empty where it is."""
    reported: Sequence[float] = ()
    """Judged accuracies of the paper, in percent, in the order of `published.ROWS`."""

    @property
    def bundled(self) -> bool:
        """Whether it comes with the engine."""
        return self.items is not None

    @property
    def own(self) -> bool:
        """Whether it is of somebody's own questions."""
        return self.published is None and self.items is None

    def set_at(self, path: str, split: str = "") -> tuple[PublishedSet, str]:
        """The published set at a path, and its files. Only for one that is published."""
        assert self.published is not None
        return self.as_it_lies(path, split) if self.as_it_lies else (self.published, path)


BENCHMARKS: Final = OpenSet[Benchmark]("benchmark", "gog.benchmarks", "gog.transforms.evaluate.benchmarks", "BENCHMARK")


def benchmark_named(name: str) -> Benchmark:
    """The benchmark of that name, else one of somebody's own questions: scored by the judge protocol."""
    return BENCHMARKS[name] if name in BENCHMARKS else Benchmark(name, ("all",), "", "rows, or YAML", JUDGE)


def protocol_named(name: str) -> Protocol:
    """The protocol of a score. Raises `UnknownMemberError`."""
    return JUDGE if name == JUDGE.name else BENCHMARKS[name].official

"""Accuracies that the paper reports, to stand beside one's own.

Source: Glance-or-Gaze, arXiv 2601.13942, its table of results: judged accuracy in percent. They were made with other
search engines, other indexes and another judge: a difference of a few points says nothing. Averages are made here;
those printed agree but for Qwen3-VL-8B-Thinking's full search, where 46.99 is printed and its six numbers give 46.33.
"""

from collections.abc import Iterable
from functools import cache
from typing import Final, NamedTuple

from gog.transforms.evaluate.benchmark import BENCHMARKS


class Published(NamedTuple):
    """A row of the paper's table."""

    model: str
    paradigm: str
    accuracy: dict[str, float]

    def average(self, benchmarks: Iterable[str]) -> float | None:
        """Mean over these benchmarks; None where one is not among the six."""
        names = list(benchmarks)
        found = [self.accuracy[name] for name in names if name in self.accuracy]
        return sum(found) / len(found) if found and len(found) == len(names) else None


ROWS: Final = (
    ("Qwen2.5-VL-7B", "direct"),
    ("Qwen3-VL-8B-Thinking", "direct"),
    ("GPT-4o", "direct"),
    ("Qwen2.5-VL-7B", "prompted"),
    ("Qwen3-VL-8B-Thinking", "prompted"),
    ("Qwen2.5-VL-7B", "full-search"),
    ("Qwen3-VL-8B-Thinking", "full-search"),
    ("MMSearch-R1", "policy"),
    ("GoG-2.5-7B-SFT", "policy"),
    ("GoG-3-8B-Think-SFT", "policy"),
    ("GoG-2.5-7B-RL", "policy"),
    ("GoG-3-8B-Think-RL", "policy"),
)
"""Model and paradigm of each row; a benchmark has its column (`Benchmark.reported`)."""


@cache
def published() -> tuple[Published, ...]:
    """The rows of the table, with the accuracies of every benchmark that the paper has."""
    columns = {name: BENCHMARKS[name].reported for name in BENCHMARKS}
    return tuple(
        Published(*row, {name: reported[number] for name, reported in columns.items() if reported})
        for number, row in enumerate(ROWS)
    )

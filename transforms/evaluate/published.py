"""Accuracies that the paper reports, to stand beside one's own.

Source: Glance-or-Gaze, arXiv 2601.13942, its table of results: judged accuracy in percent. They were made with other
search engines, other indexes and another judge: a difference of a few points says nothing. Averages are made here;
those printed agree but for Qwen3-VL-8B-Thinking's full search, where 46.99 is printed and its six numbers give 46.33.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple


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


_BENCHMARKS: Final = ("fvqa", "infoseek", "simplevqa", "mmsearch", "livevqa", "dynvqa")


def _row(model: str, paradigm: str, *values: float) -> Published:
    return Published(model, paradigm, dict(zip(_BENCHMARKS, values, strict=True)))


PUBLISHED: Final = (
    _row("Qwen2.5-VL-7B", "direct", 25.33, 13.90, 41.26, 14.62, 10.30, 16.43),
    _row("Qwen3-VL-8B-Thinking", "direct", 24.56, 16.05, 41.76, 15.20, 15.15, 30.31),
    _row("GPT-4o", "direct", 42.00, 30.60, 43.44, 21.64, 14.80, 31.59),
    _row("Qwen2.5-VL-7B", "prompted", 24.50, 17.40, 41.66, 20.47, 10.40, 19.41),
    _row("Qwen3-VL-8B-Thinking", "prompted", 51.33, 32.00, 62.69, 36.84, 25.95, 41.36),
    _row("Qwen2.5-VL-7B", "full-search", 61.06, 38.15, 59.13, 36.26, 31.05, 40.51),
    _row("Qwen3-VL-8B-Thinking", "full-search", 57.33, 32.25, 61.90, 63.84, 23.55, 39.09),
    _row("MMSearch-R1", "policy", 42.39, 24.65, 54.79, 40.94, 23.85, 34.84),
    _row("GoG-2.5-7B-SFT", "policy", 53.72, 41.90, 60.61, 40.35, 24.55, 38.53),
    _row("GoG-3-8B-Think-SFT", "policy", 62.17, 40.55, 65.65, 53.80, 32.40, 46.46),
    _row("GoG-2.5-7B-RL", "policy", 66.78, 51.05, 64.86, 56.73, 37.70, 42.21),
    _row("GoG-3-8B-Think-RL", "policy", 68.44, 49.05, 66.44, 65.50, 43.85, 48.02),
)

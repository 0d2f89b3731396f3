"""The table of what was learnt: accuracy by model and world over repetitions, and how the models searched."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from gog.transforms.label.complexity import wilson

WORLDS: Final = ("real", "permuted")
_HEAD: Final = """\
| model | repetitions | real names, % | permuted names, % | turns | searches | gazes that are useful, % | episodes |
|---|---|---|---|---|---|---|---|
"""


def table(evals: Path, arms: Sequence[str], times: int) -> str:
    """Markdown of the evaluations; an accuracy with its Wilson interval, and that of each repetition."""
    return _HEAD + "".join(_line(arm, [_found(evals, arm, time) for time in range(times)]) for arm in arms)


def evaluation(arm: str, time: int, world: str) -> str:
    """Name of an evaluation."""
    return f"{arm.replace(' ', '-')}-{time}-{world}"


def _found(evals: Path, arm: str, time: int) -> dict[str, Any]:
    """What is there of a repetition, by world."""
    paths = {world: evals / evaluation(arm, time, world) / "results.json" for world in WORLDS}
    read = {world: json.loads(path.read_text()) for world, path in paths.items() if path.exists()}
    return {world: one["benchmarks"]["held"]["paradigms"]["policy"] for world, one in read.items()}


def _line(arm: str, found: Sequence[dict[str, Any]]) -> str:
    there = [one for one in found if set(one) == set(WORLDS)]
    if not there:
        return f"| {arm} | 0 | | | | | | |\n"
    searched = [one["real"]["behaviours"] for one in there]
    names = [name for name in searched[0]["mix"] if any(one["mix"][name]["part"] for one in searched)]
    mix = ", ".join(f"{name} {100 * _mean(one['mix'][name]['value'] for one in searched):.0f}%" for name in names)
    gazes = [one["gaze_useful"] for one in searched]
    useful = f"{100 * sum(g['part'] for g in gazes) / whole:.0f}" if (whole := sum(g["whole"] for g in gazes)) else ""
    turns, searches = (_mean(one[key] for one in searched) for key in ("turns", "searches"))
    accuracies = [_accuracy([one[world]["judged"]["grades"] for one in there]) for world in WORLDS]
    cells = [arm, str(len(there)), *accuracies, f"{turns:.1f}", f"{searches:.1f}", useful, mix]
    return f"| {' | '.join(cells)} |\n"


def _accuracy(grades: Sequence[dict[str, int]]) -> str:
    """Of what could be settled; unknown ones are named."""
    right = [one["correct"] for one in grades]
    settled = [sum(one.values()) - one["unknown"] for one in grades]
    unknown = sum(one["unknown"] for one in grades)
    if not all(settled):
        return f"{unknown} unknown"
    low, high = wilson(sum(right), sum(settled))
    each = ", ".join(f"{100 * a / b:.1f}" for a, b in zip(right, settled, strict=True))
    shown = f"{100 * sum(right) / sum(settled):.1f} ({100 * low:.1f} to {100 * high:.1f})"
    return shown + (f": {each}" if len(grades) > 1 else "") + (f"; {unknown} unknown" if unknown else "")


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)

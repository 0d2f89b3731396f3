"""A training's curves: `curves.jsonl` of its run, one JSON object a line, read at a cost that is bounded."""

import json
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from gog.transforms.object_path import ObjectPath

CURVES: Final = "curves.jsonl"
MOST_BYTES: Final = 64 << 20
"""Longest file that is read."""
READ_BYTES: Final = 8 << 20
"""Of a longer file every second, third, ... line is read, so that about so much is."""
LONGEST_LINE: Final = 64 << 10
MOST_CURVES: Final = 40
LONGEST_NAME: Final = 60
MOST_POINTS: Final = 500
"""Of a curve; a longer one is thinned out, evenly, between its first and its last point."""


class Point(NamedTuple):
    """A value at a step of the optimiser."""

    step: int
    value: float


@dataclass(frozen=True, slots=True)
class Curves:
    """What the file holds."""

    curves: dict[str, list[Point]] = field(default_factory=dict)
    """By name, in the order in which the names come; steps rise."""
    last_time: str = ""
    """When the last line that was read was written, as it says."""
    lines: int = 0
    """That were read."""
    bad: int = 0
    """Of these, that are no such object, and were passed over."""
    every: int = 1
    """Each so manieth line was read."""
    too_long: bool = False
    """The file is longer than what is read; nothing was."""


def read_curves(path: Path) -> Curves | None:
    """The curves of a run; None where the file is not there. Raises `OSError` where it cannot be read.

    A line is `{"step": int, "time": ISO-8601, "values": {NAME: number}}`. Where a training went back to a checkpoint,
    the later lines count. A value that is no finite number is left out, the rest of its line is not.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            return Curves(too_long=True)
        data = path.read_bytes() if isinstance(path, ObjectPath) else _start_of(path)
    except FileNotFoundError:
        return None
    every = max(1, math.ceil(len(data) / READ_BYTES))
    lines = bad = 0
    last_time = ""
    found = defaultdict[str, list[Point]](list)
    for line in _lines(data, every):
        lines += 1
        read = _read(line)
        if read is None:
            bad += 1
            continue
        step, last_time, values = read
        for name, value in values.items():
            if name not in found and len(found) >= MOST_CURVES:
                continue
            points = found[name]
            while points and points[-1].step >= step:
                points.pop()
            points.append(Point(step, value))
    return Curves({name: _thinned(points) for name, points in found.items()}, last_time, lines, bad, every)


def _start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST_BYTES)


def _lines(data: bytes, every: int) -> Iterator[bytes]:
    """Each so manieth line that is not empty. What follows the last line feed is still being written."""
    start = number = 0
    while (end := data.find(b"\n", start)) >= 0:
        if end > start:
            if number % every == 0:
                yield data[start : min(end, start + LONGEST_LINE)]
            number += 1
        start = end + 1


def _read(line: bytes) -> tuple[int, str, dict[str, float]] | None:
    try:
        row = json.loads(line)
        step, values = row["step"], row["values"]
        if type(step) is not int or not 0 <= step < 1 << 53 or not isinstance(values, dict):
            return None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    numbers = {
        name[:LONGEST_NAME]: float(value)
        for name, value in values.items()
        if type(value) in (int, float) and abs(value) < 1e300  # also no NaN, and no integer that a float cannot hold
    }
    return step, str(row.get("time", ""))[:32], numbers


def _thinned(points: list[Point]) -> list[Point]:
    if len(points) <= MOST_POINTS:
        return points
    last = len(points) - 1
    return [points[round(at * last / (MOST_POINTS - 1))] for at in range(MOST_POINTS)]

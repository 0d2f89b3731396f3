"""Flags that look alike, found by measuring, and the partitions that keep them together.

Distances are root mean squares over a 12x9 grid of mean colours in CIELAB with halved a and b (saturated colours
lie too far apart in it), so a small detail (an emblem, a shade) weighs as much as the area that it covers.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gog.transforms.atlas.facts import PARTITIONS
from gog.transforms.services.search.grid import lab

TWIN = 5.0
"""Below this distance two flags cannot be told apart in a scene: Indonesia and Monaco."""
SAME_BUT_FOR_A_SHADE = (("ROU", "TCD"),)
"""Twins whose distance is larger, since a shade differs over a large area; nobody tells them apart by sight."""
ALIKE = 19.0
"""Below this distance (and above `TWIN`) two flags are easily confused: Australia and New Zealand."""
SALT = "atlas-1"
"""Committed seed of the partitioning: another one makes another world."""


def distances(flags: Sequence[Image.Image]) -> NDArray[np.float32]:
    """Pairwise distances of the flags, shape (n, n)."""
    weights = np.array([1.0, 0.5, 0.5])
    rows = [
        (lab(np.asarray(flag.resize((12, 9), Image.Resampling.BOX).convert("RGB"), np.float32)) * weights).reshape(-1)
        for flag in flags
    ]
    grid = np.stack(rows)
    square = (grid * grid).sum(1)
    gaps = square[:, None] + square[None] - 2 * grid @ grid.T
    return np.asarray(np.sqrt(np.maximum(gaps, 0) / 108), np.float32)


def neighbours(codes: Sequence[str], gaps: NDArray[np.float32], low: float, high: float) -> dict[str, list[str]]:
    """Per flag, the flags at a distance in `[low, high)`, nearest first."""
    found: dict[str, list[str]] = {}
    for i, code in enumerate(codes):
        near = sorted((float(gaps[i, j]), other) for j, other in enumerate(codes) if j != i)
        found[code] = [other for gap, other in near if low <= gap < high]
    return found


def relations(codes: Sequence[str], gaps: NDArray[np.float32]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Twins and look-alikes (twins left out) of each flag, nearest first."""
    twins = neighbours(codes, gaps, 0, TWIN)
    for one, other in SAME_BUT_FOR_A_SHADE:
        twins[one].append(other)
        twins[other].append(one)
    alike = neighbours(codes, gaps, 0, ALIKE)
    return twins, {code: [c for c in near if c not in twins[code]] for code, near in alike.items()}


def clusters(codes: Sequence[str], links: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Connected groups of linked flags, each sorted."""
    left, groups = sorted(codes), []
    while left:
        group, queue = {left[0]}, [left[0]]
        while queue:
            for other in links.get(queue.pop(), ()):
                if other not in group:
                    group.add(other)
                    queue.append(other)
        groups.append(sorted(group))
        left = [code for code in left if code not in group]
    return groups


def partition(groups: Sequence[Sequence[str]], parts: int = PARTITIONS, salt: str = SALT) -> dict[str, int]:
    """A partition (0 to parts - 1) per flag: whole groups, of nearly equal size, in an order that a hash decides.

    Groups of several flags are dealt out first, so that each partition gets its share of look-alikes.
    """

    def order(group: Sequence[str]) -> tuple[int, str]:
        return -len(group), hashlib.sha256(f"{salt}:{group[0]}".encode()).hexdigest()

    sizes = [0] * parts
    placed: dict[str, int] = {}
    for group in sorted(groups, key=order):
        part = min(range(parts), key=lambda p: (sizes[p], p))
        sizes[part] += len(group)
        placed.update(dict.fromkeys(group, part))
    return placed

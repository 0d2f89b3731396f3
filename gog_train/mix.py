"""The mix of behaviours in an epoch: scarce ones come several times, and no row is left out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

MOST: Final = 4
"""Times that an epoch draws a row: what comes more often is learned by heart."""

_REST: Final = ""


def mixed(behaviours: Sequence[str], shares: Mapping[str, float]) -> list[int]:
    """Numbers of the rows that an epoch draws, in order, so that the behaviours have their shares.

    `behaviours` is that of each row; those that no share names have what the shares leave. Each row is drawn once at
    least and `MOST` times at most, so a very scarce behaviour stays below its share. A behaviour with share 0 is drawn
    once.
    """
    groups = [behaviour if behaviour in shares else _REST for behaviour in behaviours]
    rows = Counter(groups)
    wanted = {**shares, _REST: max(0.0, 1.0 - sum(shares.values()))}
    total = max((count / wanted[name] for name, count in rows.items() if wanted[name] > 0), default=0.0)
    draws = {name: min(MOST * count, max(count, round(total * wanted[name]))) for name, count in rows.items()}
    passed: Counter[str] = Counter()
    numbers = []
    for number, name in enumerate(groups):
        # Evenly: of 10 rows that are drawn 25 times, every other one comes three times.
        before, passed[name] = passed[name] * draws[name] // rows[name], passed[name] + 1
        numbers += [number] * (passed[name] * draws[name] // rows[name] - before)
    return numbers


def told(behaviours: Sequence[str], numbers: Sequence[int]) -> str:
    """What an epoch draws of each behaviour, in words."""
    drawn, rows = Counter(behaviours[number] for number in numbers), Counter(behaviours)
    return ", ".join(f"{name} {drawn[name]} of {rows[name]} rows" for name in sorted(rows))

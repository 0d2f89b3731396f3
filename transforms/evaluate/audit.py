"""How far a run's verdicts may be trusted: a stratified sample for people, and the shares of mistakes that it shows.

A verdict's group is its ruling, the method that settled the outcome and the first reason to leave. The sample goes
through the groups so that small ones are seen and large ones weigh; shares of several groups are weighted by their
sizes in the run, so that they are those of the run whatever the sample's make-up.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from gog.schemas import Method, Outcome
from gog.schemas.reasons import STOP_REASONS
from gog.transforms.label.complexity import wilson


class Ruling(StrEnum):
    """What became of a verdict: accepted, rejected, or left since nobody could tell."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNSETTLED = "unsettled"


class Group(NamedTuple):
    """Verdicts that came about in the same way."""

    ruling: Ruling
    method: Method
    reason: str
    """The first reason to leave; empty when it was accepted."""


ALL: Final = "all"
_JUDGED: Final = frozenset({"verify.wrong", "verify.ungrounded", "verify.leaked"})
MISTAKE: Final = {Ruling.ACCEPTED: Outcome.WRONG, Ruling.REJECTED: Outcome.CORRECT, Ruling.UNSETTLED: Outcome.CORRECT}
"""What a person says of a verdict that is mistaken; of an unsettled one, that something right was lost."""


def group_of(outcome: Outcome, method: Method, reasons: Sequence[str]) -> Group | None:
    """The group of a verdict; no reason to leave means that it was accepted. None where the run had stopped buying."""
    if not reasons:
        return Group(Ruling.ACCEPTED, method, "")
    if reasons[0] in STOP_REASONS.values():
        return None
    # A right answer whose grounding nobody could tell is unsettled as well.
    unsettled = outcome is Outcome.UNKNOWN or reasons[0] not in _JUDGED
    return Group(Ruling.UNSETTLED if unsettled else Ruling.REJECTED, method, reasons[0])


def draw(groups: Mapping[str, Group], size: int, seed: int) -> list[str]:
    """Ids of a sample of verdicts, by id, in the order in which people are asked; a larger one begins with it.

    Every group comes once, the largest first; then each gets a share that grows with the root of its size (the
    divisors are Huntington's and Hill's). Within a group, the seed says who is next.
    """
    members: dict[Group, list[str]] = {}
    for name, group in groups.items():
        members.setdefault(group, []).append(name)
    left = {group: sorted(names, key=lambda n: _lot(seed, n), reverse=True) for group, names in members.items()}
    sample: list[str] = []
    while len(sample) < size and left:
        group = max(left, key=lambda g: (_claim(len(members[g]), len(left[g])), len(members[g]), g))
        sample.append(left[group].pop())
        if not left[group]:
            del left[group]
    return sample


def in_order(sample: Sequence[str], said: Mapping[str, Outcome]) -> tuple[list[str], int]:
    """The sample as one person goes through it, and how many at its start are decided.

    Then comes what was never asked, and last what was passed over (`unknown`), in the order of `said`.
    """
    decided = [name for name in sample if said.get(name, Outcome.UNKNOWN) is not Outcome.UNKNOWN]
    drawn = set(sample)
    skipped = [name for name, outcome in said.items() if outcome is Outcome.UNKNOWN and name in drawn]
    return decided + [name for name in sample if name not in said] + skipped, len(decided)


def _lot(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"audit/{seed}/{name}".encode()).digest()


def _claim(size: int, left: int) -> float:
    drawn = size - left
    return math.sqrt(size / (drawn * (drawn + 1))) if drawn else math.inf


@dataclass(frozen=True, slots=True)
class Rate:
    """How many verdicts of a kind are mistaken, as far as people decided on them."""

    of: str
    verdicts: int
    """In the run."""
    decided: int
    mistaken: int
    """Of those that were decided."""
    value: float | None
    """Share of mistakes in the run, each group weighted by its size there; None where nothing is decided."""
    low: float | None
    """95% Wilson interval of the effective size of the sample (Kish 1965)."""
    high: float | None
    unseen: int
    """Verdicts of groups on which nobody decided anything: the share says nothing of them."""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit shows. Of each ruling the line of all comes first, then its parts."""

    mistaken: Rate
    """Of all that was settled, either way."""
    by_method: dict[Ruling, tuple[Rate, ...]]
    by_reason: dict[Ruling, tuple[Rate, ...]]
    found: tuple[str, ...]
    """Ids of the mistakes."""


def report(groups: Mapping[str, Group], said: Mapping[str, Outcome]) -> AuditReport:
    """The report of a run's verdicts, by id, and what people said of some that the sample drew.

    Right is what deserves to be accepted. What is said of other ids, and `unknown`, counts for nothing.
    """
    sizes: dict[Group, int] = {}
    decided: dict[Group, list[bool]] = {}
    for group in groups.values():
        sizes[group] = sizes.get(group, 0) + 1
    found = []
    for name, outcome in said.items():
        if name in groups and outcome is not Outcome.UNKNOWN:
            mistake = MISTAKE[groups[name].ruling] is outcome
            decided.setdefault(groups[name], []).append(mistake)
            found += [name] if mistake else []

    def rate(of: str, those: Iterable[Group]) -> Rate:
        return _rate(of, [(sizes[group], decided.get(group, [])) for group in those])

    def rates(ruling: Ruling, part: Callable[[Group], str]) -> tuple[Rate, ...]:
        those = sorted(group for group in sizes if group.ruling is ruling)
        names = sorted({part(group) for group in those} - {""})
        parts = (rate(name, [group for group in those if part(group) == name]) for name in names)
        return (rate(ALL, those), *parts) if those else ()

    settled = [group for group in sizes if group.ruling is not Ruling.UNSETTLED]
    return AuditReport(
        mistaken=rate(ALL, settled),
        by_method={ruling: rates(ruling, lambda group: group.method.value) for ruling in Ruling},
        by_reason={ruling: rates(ruling, lambda group: group.reason) for ruling in Ruling},
        found=tuple(sorted(found)),
    )


def _rate(of: str, strata: Sequence[tuple[int, Sequence[bool]]]) -> Rate:
    """The share over strata, each its size in the run and whether the decided ones are mistakes."""
    seen = [(size, mistakes) for size, mistakes in strata if mistakes]
    total, reached = sum(size for size, _ in strata), sum(size for size, _ in seen)
    decided, mistaken = sum(len(m) for _, m in seen), sum(sum(m) for _, m in seen)
    if not seen:
        return Rate(of, total, 0, 0, None, None, None, total)
    value = min(1.0, sum(size / reached * (sum(m) / len(m)) for size, m in seen))
    effective = 1 / sum((size / reached) ** 2 / len(m) for size, m in seen)
    low, high = wilson(value * effective, effective)
    return Rate(of, total, decided, mistaken, value, low, high, total - reached)

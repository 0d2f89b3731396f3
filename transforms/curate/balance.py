"""Balance: how much of each behaviour is kept, so that the mix is a setting.

Source of the default share: Glance-or-Gaze, arXiv 2601.13942 (43.5% of the samples need no search).
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from gog.schemas import Behaviour, Origin, Reject, Unit
from gog.transforms.filters.use import Refusal

FREE: Final = "free"
"""Group of the behaviours that no share names; it gets what the shares leave."""

_MOST: Final = 2**64


class BalanceSettings(BaseModel):
    """Target shares of what is kept.

    A key of `shares` is a behaviour, or a group of `groups` (`{"search": [glance, gaze, mixed]}`). Behaviours that
    no share names form the group `free`. Without shares everything is kept, up to `total`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shares: dict[str, float] = Field(default_factory=dict)
    """Share of a behaviour, or of a group, in what is kept: 0 to 1."""
    groups: dict[str, tuple[Behaviour, ...]] = Field(default_factory=dict)
    """Behaviours that share one share, by the name that `shares` gives them."""
    total: int | None = Field(default=None, ge=0)
    """Trajectories to keep, at most."""
    scarce: Literal["floor", "strict", "fill"] = "floor"
    """When a group has too few: `strict` shrinks the total until the shares fit; `floor` does so too, but to no less
    than its share of what there is, and comes as near to the shares as that allows; `fill` keeps what the scarce group
    has, and leaves the others at their share of the whole."""
    floor: float = Field(default=0.95, ge=0, le=1)
    """Share of the trajectories that `floor` keeps at least: what was made is worth more than an exact mix."""

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if any(not 0 <= share <= 1 for share in self.shares.values()):
            raise ValueError("a share lies between 0 and 1")
        if sum(self.shares.values()) > 1 + 1e-9:
            raise ValueError("the shares add up to more than 1")
        if FREE in self.shares or FREE in self.groups:
            raise ValueError(f"{FREE!r} is the group of what no share names")
        unknown = [name for name in self.shares if name not in self.groups and name not in set(Behaviour)]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is neither a behaviour nor a group")
        members = [behaviour for name in self.shares for behaviour in self.members(name)]
        if len(members) != len(set(members)):
            raise ValueError("a behaviour is in two shares")
        return self

    def members(self, name: str) -> tuple[Behaviour, ...]:
        """Behaviours that a share is about."""
        return self.groups[name] if name in self.groups else (Behaviour(name),)


class LightTrajectory(NamedTuple):
    """What curation needs to know of a trajectory that was best of its seed."""

    trajectory_id: str
    seed_id: str
    behaviour: Behaviour
    origin: Origin
    objection: Refusal | None = None
    """Of a filter after curate: without it the trajectory would stay."""

    def reject(self, reason: str, detail: str) -> Reject:
        """Why it leaves."""
        return Reject.of("curate", Unit.TRAJECTORY, self.trajectory_id, reason, detail=detail, seed_id=self.seed_id)


@dataclass(frozen=True, slots=True)
class Balanced:
    """Ids that stay, in order, and rejects for the others."""

    kept: tuple[str, ...]
    rejects: tuple[Reject, ...]


def balance(items: Iterable[LightTrajectory], settings: BalanceSettings, run_seed: int = 0) -> Balanced:
    """Keep as many as the target shares allow, chosen by a hash of id and run seed.

    Which ones are kept does not depend on the order of the items; a larger quota keeps what a smaller one kept. The
    others leave as `curate.over_quota`. With `strict` a group that has nothing at all cannot be waited for: the
    other groups then keep their shares among themselves.
    """
    pools: dict[str, list[LightTrajectory]] = defaultdict(list)
    for item in items:
        pools[group_of(item.behaviour, settings)].append(item)
    for pool in pools.values():
        pool.sort(key=lambda item: (draw(item.trajectory_id, run_seed), item.trajectory_id))
    quotas, cost = share_out({name: len(pool) for name, pool in pools.items()}, settings)
    kept = sorted(item.trajectory_id for name, quota in quotas.items() for item in pools[name][:quota])
    over = sorted(item for name, quota in quotas.items() for item in pools[name][quota:])
    return Balanced(tuple(kept), tuple(item.reject("curate.over_quota", cost) for item in over))


@dataclass(frozen=True, slots=True)
class Cut:
    """Where balance cuts: the first number of each group's draw that is over quota, and what that costs, in words."""

    first_over: Mapping[str, int]
    cost: str

    def keeps(self, trajectory: LightTrajectory, settings: BalanceSettings, run_seed: int) -> bool:
        """Whether the trajectory stays."""
        number = draw(trajectory.trajectory_id, run_seed)
        return number < self.first_over.get(group_of(trajectory.behaviour, settings), _MOST)


def cut(draws: Mapping[str, Sequence[int]], settings: BalanceSettings) -> Cut:
    """Where `balance` cuts, by the draws of each group alone: the same but for numbers drawn twice (one in 2^64)."""
    quotas, cost = share_out({name: len(numbers) for name, numbers in draws.items()}, settings)
    over = {name: numbers for name, numbers in draws.items() if quotas[name] < len(numbers)}
    return Cut({name: int(np.sort(np.asarray(n, np.uint64))[quotas[name]]) for name, n in over.items()}, cost)


def share_out(supply: Mapping[str, int], settings: BalanceSettings) -> tuple[dict[str, int], str]:
    """How many of each group stay, and what that costs, in a sentence; empty where all stay.

    `supply` counts by group: the names of the shares, and `FREE`.
    """
    counts = {name: supply.get(name, 0) for name in [*sorted(settings.shares), FREE]}
    targets = _targets(counts, settings.shares)
    quotas = _quotas(counts, targets, settings)
    return quotas, _cost(counts, quotas, targets, settings) if quotas != counts else ""


def group_of(behaviour: Behaviour, settings: BalanceSettings) -> str:
    """The group that a behaviour counts to."""
    return next((name for name in settings.shares if behaviour in settings.members(name)), FREE)


def _cost(
    supply: Mapping[str, int], quotas: Mapping[str, int], targets: Mapping[str, float], settings: BalanceSettings
) -> str:
    """What balance takes away, why, and what to change, in a sentence."""
    everything, kept = sum(supply.values()), sum(quotas.values())
    words = f"balance left out {everything - kept} of {everything}"
    if settings.total is not None and kept == settings.total:
        return f"{words}: curate.balance.total is {settings.total}"
    wanted = {name: math.ceil(share * everything - 1e-9) for name, share in targets.items() if share}
    short = " and ".join(
        f"{name} has {supply[name]}, its share of {targets[name]:.1%} wants {want}"
        for name, want in wanted.items()
        if supply[name] < want
    )
    ways = "seed more of them, lower the share"
    if settings.scarce == "strict":
        ways = f"{ways}, or set curate.balance.scarce: floor"
    elif settings.scarce == "floor":
        ways = f"{ways}, or raise curate.balance.floor ({settings.floor:g})"
    return f"{words}: {short}; {ways}" if short else f"{words}, which no share wants"


def draw(trajectory_id: str, run_seed: int) -> int:
    """The trajectory's number in the draw (64 bits): the smallest ones of a group stay."""
    return int.from_bytes(hashlib.sha256(f"balance/{run_seed}/{trajectory_id}".encode()).digest()[:8])


def _targets(supply: Mapping[str, int], shares: Mapping[str, float]) -> dict[str, float]:
    """Target of each group, the free one included where it has any; they add up to 1 unless nothing is free."""
    targets = {name: shares[name] for name in sorted(shares)}
    free = max(0.0, 1.0 - sum(shares.values()))
    if supply[FREE] or free > 1e-9:
        targets[FREE] = free if free > 1e-9 else 0.0
    return targets


def _quotas(supply: Mapping[str, int], targets: Mapping[str, float], settings: BalanceSettings) -> dict[str, int]:
    """How many of each group stay."""
    everything = sum(supply.values())
    most = everything if settings.total is None else min(settings.total, everything)
    if settings.scarce == "fill":
        return {name: min(count, supply[name]) for name, count in _apportion(most, targets).items()}
    present = {name: share for name, share in targets.items() if share and supply[name]}
    scale = sum(present.values())
    shares = {name: present.get(name, 0.0) / scale if scale else 0.0 for name in targets}
    quotas = _largest(most, shares, supply)
    least = math.ceil(settings.floor * most - 1e-9)
    if settings.scarce == "strict" or sum(quotas.values()) >= least:
        return quotas
    return _nearest(least, shares, supply)


def _nearest(total: int, shares: Mapping[str, float], supply: Mapping[str, int]) -> dict[str, int]:
    """`total` of what there is, as near to the shares as it can be: a group that has too few gives all that it has, and
    the others share the rest. What no share wants comes last.
    """
    quotas = dict.fromkeys(shares, 0)
    open_groups = {name for name, share in shares.items() if share}
    while open_groups:
        left = total - sum(quotas[name] for name in shares if name not in open_groups)
        scale = sum(shares[name] for name in open_groups)
        wanted = _apportion(left, {name: shares[name] / scale for name in sorted(open_groups)})
        short = {name for name in open_groups if wanted[name] >= supply[name]}
        quotas |= {name: supply[name] if name in short else wanted[name] for name in open_groups}
        if not short:
            break
        open_groups -= short
    for name in sorted(shares, key=lambda name: (-supply[name], name)):
        missing = total - sum(quotas.values())
        quotas[name] += max(0, min(missing, supply[name] - quotas[name]))
    return quotas


def _largest(most: int, shares: Mapping[str, float], supply: Mapping[str, int]) -> dict[str, int]:
    """The largest apportionment with every group inside its supply."""
    bounds = [supply[name] / share for name, share in shares.items() if share]
    if not bounds:
        return dict.fromkeys(shares, 0)
    total = min(most, math.floor(min(bounds) + len(bounds)))
    while True:
        quotas = _apportion(total, shares)
        if total <= 0 or all(quotas[name] <= supply[name] for name in quotas):
            return quotas
        total -= 1


def _apportion(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Whole numbers that add up to `total` (for shares that add up to 1), by largest remainders."""
    exact = {name: total * share for name, share in shares.items()}
    counts = {name: math.floor(value + 1e-9) for name, value in exact.items()}
    missing = round(sum(exact.values())) - sum(counts.values())
    for name in sorted(exact, key=lambda name: (counts[name] - exact[name], name))[: max(0, missing)]:
        counts[name] += 1
    return counts

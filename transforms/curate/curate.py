"""Curate: what is kept of the verified trajectories, decided over all shards at once.

It sees no messages: best of k was chosen within each seed before; here groups and sides are assigned, near-copies
left out, and behaviours balanced.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gog.schemas import Curated, Grouping, Reject, Side, Split
from gog.transforms.curate.balance import BalanceSettings, LightTrajectory, balance
from gog.transforms.curate.splits import LightSeed, SplitSettings, split_seeds
from gog.transforms.duplicates.near import NearDuplicates


@dataclass(frozen=True, slots=True)
class Curation:
    """Every seed's group, what was kept, and why the rest was not."""

    groups: tuple[Grouping, ...]
    kept: tuple[Curated, ...]
    rejects: tuple[Reject, ...]


def curate(
    seeds: Iterable[LightSeed],
    trajectories: Iterable[LightTrajectory],
    balance_settings: BalanceSettings,
    split_settings: SplitSettings,
    *,
    run_seed: int,
) -> Curation:
    """Decide. Raises `HubError` and `LeakError`."""
    known = {seed.seed_id: seed for seed in sorted(seeds)}
    groups = split_seeds(known.values(), split_settings, run_seed)
    pool, rejects = pool_of(known, groups, trajectories)
    balanced = balance(pool, balance_settings, run_seed)
    rejects += balanced.rejects
    stay = set(balanced.kept)
    split = {grouping.seed_id: grouping.split for grouping in groups}
    kept: list[Curated] = []
    for trajectory in pool:
        if trajectory.trajectory_id in stay:
            match without_objection(trajectory, split[trajectory.seed_id]):
                case Curated() as curated:
                    kept.append(curated)
                case Reject() as reject:
                    rejects.append(reject)
    return Curation(groups, tuple(kept), tuple(rejects))


def pool_of(
    seeds: Mapping[str, LightSeed], groups: Iterable[Grouping], trajectories: Iterable[LightTrajectory]
) -> tuple[list[LightTrajectory], list[Reject]]:
    """What there is to balance, in order: neither reserved for RL nor a near-copy. Of whole groups each by itself."""
    place = {grouping.seed_id: grouping for grouping in groups}
    rejects: list[Reject] = []
    pool: list[LightTrajectory] = []
    for trajectory in sorted(trajectories):
        if place[trajectory.seed_id].side is Side.RL:
            rejects.append(trajectory.reject("curate.reserved_for_rl", f"group {place[trajectory.seed_id].group}"))
        else:
            pool.append(trajectory)
    pool, copies = _without_copies(pool, seeds, place)
    return pool, rejects + copies


def without_objection(trajectory: LightTrajectory, split: Split) -> Curated | Reject:
    """What becomes of a trajectory that balance keeps."""
    if trajectory.objection is not None:
        return trajectory.reject(*trajectory.objection)
    return Curated(
        trajectory_id=trajectory.trajectory_id,
        seed_id=trajectory.seed_id,
        split=split,
        behaviour=trajectory.behaviour,
        origin=trajectory.origin,
    )


def _without_copies(
    pool: Sequence[LightTrajectory], seeds: Mapping[str, LightSeed], place: Mapping[str, Grouping]
) -> tuple[list[LightTrajectory], list[Reject]]:
    """Leave out seeds whose image and question are near an earlier one's; trajectories of one seed are no copies."""
    near = NearDuplicates()
    earlier: dict[str, str | None] = {}
    for seed_id in sorted({t.seed_id for t in pool}):
        seed = seeds[seed_id]
        earlier[seed_id] = near.add_or_find(seed_id, (place[seed_id].cluster,), seed.question)
    kept, rejects = [], []
    for trajectory in pool:
        if earlier[trajectory.seed_id] is None:
            kept.append(trajectory)
        else:
            detail = f"image and question are near {earlier[trajectory.seed_id]}"
            rejects.append(trajectory.reject("curate.near_duplicate", detail))
    return kept, rejects

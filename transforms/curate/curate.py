"""Curate: what is kept of the verified trajectories, decided over all shards at once.

It sees no messages: best of k was chosen within each seed before; here groups and sides are assigned, near-copies
left out, and behaviours balanced.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gog.schemas import Curated, Grouping, Reject, Side
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
    place = {grouping.seed_id: grouping for grouping in groups}
    rejects: list[Reject] = []
    pool: list[LightTrajectory] = []
    for trajectory in sorted(trajectories):
        if place[trajectory.seed_id].side is Side.RL:
            rejects.append(trajectory.reject("curate.reserved_for_rl", f"group {place[trajectory.seed_id].group}"))
        else:
            pool.append(trajectory)
    pool, copies = _without_copies(pool, known, place)
    rejects += copies
    balanced = balance(pool, balance_settings, run_seed)
    rejects += balanced.rejects
    stay = set(balanced.kept)
    rejects += [t.reject(*t.objection) for t in pool if t.trajectory_id in stay and t.objection is not None]
    kept = tuple(
        Curated(
            trajectory_id=t.trajectory_id,
            seed_id=t.seed_id,
            split=place[t.seed_id].split,
            behaviour=t.behaviour,
            origin=t.origin,
        )
        for t in pool
        if t.trajectory_id in stay and t.objection is None
    )
    return Curation(groups, kept, tuple(rejects))


def _without_copies(
    pool: Sequence[LightTrajectory], seeds: dict[str, LightSeed], place: dict[str, Grouping]
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

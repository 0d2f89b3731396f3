"""What came of previewed seeds, kept beside their pictures, and what a run will keep, estimated from it."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from gog.pipelines.config.config import Config, fingerprint
from gog.pipelines.lake.lake import Lake, write_atomic
from gog.pipelines.rehearse.samples import Range
from gog.schemas import Behaviour, Trajectory, Verdict
from gog.transforms.curate.balance import group_of, share_out
from gog.transforms.curate.select import Candidate, select
from gog.transforms.label.complexity import wilson

_FEWEST: Final = 5
"""Previewed seeds from which the mix of behaviours says something."""


class Previewed(BaseModel):
    """A seed's best attempt by its behaviour; None where none was right."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    behaviour: Behaviour | None


class Kept(NamedTuple):
    """How many trajectories a run will keep, and why not all, in words."""

    range: Range
    words: str


def keep_outcome(
    lake: Lake, config: Config, seed_id: str, trajectories: Sequence[Trajectory], verdicts: dict[str, Verdict]
) -> None:
    """Note what came of a previewed seed."""
    right = [
        Candidate(trajectory, verdict)
        for trajectory in trajectories
        if (verdict := verdicts.get(trajectory.trajectory_id)) is not None and not verdict.reasons
    ]
    kept, _ = select(right, prefer_reflective=config.curate.prefer_reflective) if right else ((), ())
    outcome = Previewed(behaviour=kept[0].trajectory.behaviour if kept else None)
    write_atomic(_folder(lake, config) / f"{seed_id}.json", outcome.model_dump_json().encode(), sync=False)


def read_outcomes(lake: Lake, config: Config) -> list[Previewed]:
    """What came of seeds that were previewed with just this config."""
    outcomes = []
    for path in sorted(_folder(lake, config).glob("*.json")):
        try:
            outcomes.append(Previewed.model_validate(json.loads(path.read_text("utf-8"))))
        except (OSError, ValueError, ValidationError):
            continue
    return outcomes


def _folder(lake: Lake, config: Config) -> Path:
    return lake.root / "previews" / config.run / fingerprint(config)


def kept_of(outcomes: Sequence[Previewed], rows: int, config: Config) -> Kept | None:
    """What a run over so many rows will keep, one trajectory a seed; None without a preview.

    Duplicates, which a preview does not see, come off it; with `curate.keep` above 1 there will be more.
    """
    if not outcomes:
        return None
    behaviours = [outcome.behaviour for outcome in outcomes if outcome.behaviour is not None]
    settings, splits = config.curate.balance, config.curate.splits
    groups = Counter(group_of(behaviour, settings) for behaviour in behaviours)
    ends, costs = [], []
    for share in wilson(len(behaviours), len(outcomes)):
        right = rows * share * (1 - splits.rl_share)
        supply = {name: round(right * count / len(behaviours)) for name, count in groups.items()}
        quotas, cost = share_out(supply, settings)
        ends.append(float(sum(quotas.values())))
        costs.append(cost)
    words = f"{len(behaviours)} of {len(outcomes)} previewed seeds had a right attempt"
    if splits.rl_share:
        words += f", {splits.rl_share:.0%} of the groups are kept for RL"
    if costs[1] and len(outcomes) >= _FEWEST:
        words += f", {costs[1]}"
    return Kept(Range(*ends), words)

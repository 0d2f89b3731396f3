"""The tables of a run in the lake: the record of each, and what its rows are sorted by."""

from typing import Final

from gog.schemas.base import Row
from gog.schemas.bookkeeping import Event, Reject, StageCount
from gog.schemas.records import Complexity, Evidence, Region, Screening, Seed, Trajectory, Verdict
from gog.schemas.selection import Audit, Curated, Grouping, Review

TABLES: Final[dict[str, type[Row]]] = {
    "seeds": Seed,
    "screenings": Screening,
    "regions": Region,
    "evidence": Evidence,
    "trajectories": Trajectory,
    "verdicts": Verdict,
    "groups": Grouping,
    "curated": Curated,
    "complexity": Complexity,
    "rejects": Reject,
    "funnel": StageCount,
    "events": Event,
    "reviews": Review,
    "audits": Audit,
}
"""Tables of a run in the lake and the record of each."""

SORT_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "seeds": ("seed_id",),
    "screenings": ("seed_id",),
    "regions": ("region_id",),
    "evidence": ("evidence_id",),
    "trajectories": ("trajectory_id",),
    "verdicts": ("trajectory_id",),
    "groups": ("seed_id",),
    "curated": ("trajectory_id",),
    "complexity": ("seed_id", "policy"),
    "rejects": ("reject_id",),
    "funnel": ("stage", "unit", "shard"),
    "events": ("started", "key"),
    "reviews": ("trajectory_id", "reviewer", "number"),
    "audits": ("trajectory_id", "reviewer", "number"),
}

"""What came of a run over a world of photographs: what was kept of what was right, and where it looked."""

import json
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import duckdb

from gog.schemas import Box
from gog.schemas.boxes import intersection


@dataclass(frozen=True)
class Measured:
    """Counts. Pairs are (on the gold box, all) of attempts by their last gaze that is trained on."""

    seeds: int
    verified: dict[str, int]
    """By origin."""
    verified_seeds: int
    reflective_rollouts: int
    """Verified ones."""
    kept: dict[str, int]
    kept_reflective: int
    verified_on_gold: dict[str, tuple[int, int]]
    kept_on_gold: dict[str, tuple[int, int]]
    rejects: dict[str, int]

    def __str__(self) -> str:
        return "\n".join(f"{field.name}: {getattr(self, field.name)}" for field in fields(self))


def on_target(box: Box, gold: Box) -> bool:
    """Whether the middle of the box is in the gold one, and they share half of the smaller."""
    x, y = box.centre
    inside = gold.x1 <= x <= gold.x2 and gold.y1 <= y <= gold.y2
    return inside and intersection(box, gold) >= min(box.area, gold.area) / 2


def measured(world: Path, run: Path) -> Measured:
    """Figures of a finished run's folder over the world in a folder."""
    truths = {row["image"]: row for row in _lines(world / "truth.jsonl")}
    gold_of = {row["id"]: truths[row["image"]]["box"] for row in _lines(world / "questions.jsonl")}
    source = {seed: json.loads(extra)["source_id"] for seed, extra in _rows(run, "seeds", "seed_id, extra")}
    columns = "trajectory_id, seed_id, origin, reflective, steps"
    made = {row[0]: row for row in _rows(run, "trajectories", columns)}
    verified = {key for (key,) in _rows(run, "verdicts", "trajectory_id", "reasons = '[]'")}
    kept = {key for (key,) in _rows(run, "curated", "trajectory_id")}

    def on_gold(ids: set[str]) -> dict[str, tuple[int, int]]:
        hits: dict[str, list[bool]] = {}
        for key in sorted(ids):
            _, seed, origin, _, steps = made[key]
            boxes = [step["box"] for step in json.loads(steps) if step["box"] and step["train"]]
            gold = gold_of[source[seed]]
            if boxes and gold is not None:
                hits.setdefault(origin, []).append(on_target(Box(*boxes[-1]), Box(*gold)))
        return {origin: (sum(found), len(found)) for origin, found in hits.items()}

    return Measured(
        seeds=len(source),
        verified=dict(Counter(made[key][2] for key in verified)),
        verified_seeds=len({made[key][1] for key in verified}),
        reflective_rollouts=sum(made[key][2] == "rollout" and made[key][3] for key in verified),
        kept=dict(Counter(made[key][2] for key in kept)),
        kept_reflective=sum(bool(made[key][3]) for key in kept),
        verified_on_gold=on_gold(verified),
        kept_on_gold=on_gold(kept),
        rejects=dict(Counter(reason for (reason,) in _rows(run, "rejects", "reason")).most_common()),
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _rows(run: Path, table: str, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
    files = [str(path) for path in sorted((run / table).rglob("*.parquet"))]
    query = f"SELECT {columns} FROM read_parquet({files}) WHERE {where}"
    return duckdb.execute(query).fetchall() if files else []

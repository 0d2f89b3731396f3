"""What a training can be watched by, as it was left."""

import json
from pathlib import Path
from typing import Any

from gog.pipelines.lake.lake import Lake


def lake_of(output: Path) -> Lake:
    """The lake of a training."""
    return Lake(output / "rollouts", create=False)


def curves_of(output: Path) -> list[dict[str, Any]]:
    """The lines of its curves."""
    return [json.loads(line) for line in (output / "rollouts/runs/training/curves.jsonl").read_text().splitlines()]


def left_by(output: Path) -> dict[str, Any]:
    """All of it but what a clock has measured: curves, rows of all tables, names of pictures."""
    lake = lake_of(output)
    rows = {name: list(lake.read_rows("training", name)) for name in ("trajectories", "verdicts", "evidence", "seeds")}
    curves = [
        (line["step"], {name: value for name, value in line["values"].items() if name != "tokens_per_second"})
        for line in curves_of(output)
    ]
    return rows | {"curves": curves, "pictures": sorted(path.name for path in (lake.root / "images").rglob("*.*"))}

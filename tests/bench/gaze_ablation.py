"""The bundled world with and without `gaze`: the share of right answers of rollouts, by kind of question.

    python tests/bench/gaze_ablation.py [--seeds 600] [--seed 0] [--lake FOLDER]

Two runs over the same questions, one with all tools and one with `text_search` and `image_search` alone; prints a
table in Markdown with 95% Wilson intervals. What it shows is a property of the world and of the rule-based program
that plays the teacher; it says nothing about the method.

A try is right when its answer is; one that ended without an answer is not. Seeds that screening found easy (right
in every pass without tools) are not tried, in either run.
"""

import argparse
import tempfile
from collections.abc import Iterable
from pathlib import Path

from gog.pipelines.config.config import Config, bundled, parse_config
from gog.pipelines.steps.run import run
from gog.pipelines.views.database import open_lake
from gog.transforms.atlas.scenes import KINDS
from gog.transforms.label.complexity import wilson

TOOLS = {"with gaze": ["text_search", "image_search", "gaze"], "without": ["text_search", "image_search"]}

Tries = dict[str, dict[str, list[bool]]]
"""By kind of question, by seed: which of its tries were right."""

_QUERY = """
    SELECT s.category, tried.seed_id, coalesce(v.outcome = 'correct', false)
    FROM (
        SELECT seed_id, trajectory_id FROM trajectories WHERE origin = 'rollout'
        UNION ALL
        SELECT seed_id, NULL FROM rejects WHERE stage = 'synthesize'
    ) tried
    JOIN seeds s USING (seed_id) LEFT JOIN verdicts v USING (trajectory_id)
    ORDER BY ALL
"""


def config_of(lake: Path, name: str, seeds: int, seed: int) -> Config:
    """The run of `make demo` with rollouts alone, and with the tools of that name."""
    values = bundled("atlas").model_dump(mode="json")
    values |= {"run": name.replace(" ", "-"), "lake": str(lake), "seed": seed}
    values["source"]["count"] = seeds
    values["synthesize"]["composed"] = 0
    values["episode"]["tools"] = TOOLS[name]
    return parse_config(values)


def tries_of(config: Config) -> Tries:
    """Do what is missing of the run, and count."""
    run(config, steps=("ingest", "synthesize"))
    found: Tries = {kind: {} for kind in KINDS}
    with open_lake(Path(config.lake) / "runs" / config.run) as views:
        for kind, seed_id, right in views.execute(_QUERY).fetchall():
            found[kind].setdefault(seed_id, []).append(right)
    return found


def share(rights: Iterable[bool]) -> str:
    """Right of all, with the interval in percent."""
    counted = list(rights)
    low, high = wilson(sum(counted), len(counted))
    return f"{sum(counted) / max(1, len(counted)):.1%} ({100 * low:.1f} to {100 * high:.1f})"


def table(results: dict[str, Tries], k: int) -> str:
    """The results side by side, in Markdown."""
    head = ["kind", "seeds", "tries", *(f"right, {name}" for name in results)]
    head += [f"any of {k}, {name}" for name in results]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    first = next(iter(results.values()))
    for kind in (*KINDS, "all"):
        kinds = KINDS if kind == "all" else (kind,)
        seeds = [{seed: t for one in kinds for seed, t in tries[one].items()} for tries in results.values()]
        cells = [kind, str(sum(len(first[one]) for one in kinds)), str(sum(map(len, seeds[0].values())))]
        cells += [share(right for tries in by_seed.values() for right in tries) for by_seed in seeds]
        cells += [share(any(tries) for tries in by_seed.values()) for by_seed in seeds]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lake", type=Path, help="a folder that stays; without it a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as passing:
        lake = options.lake or Path(passing)
        configs = {name: config_of(lake, name, options.seeds, options.seed) for name in TOOLS}
        results = {name: tries_of(config) for name, config in configs.items()}
    one = next(iter(configs.values()))
    print(f"{getattr(one.source, 'count', 0)} seeds, {one.teacher}\n")
    print(table(results, one.synthesize.rollouts))


if __name__ == "__main__":
    main()

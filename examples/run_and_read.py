"""A run of the engine from Python, read and exported: no notebook, no key, no GPU, no network.

python examples/run_and_read.py LAKE         # the bundled world
python examples/run_and_read.py LAKE gog.yaml
"""

import sys
from collections import Counter

import gog


def main(lake: str, path: str | None = None) -> None:
    """Make the run, say what came of it, and write its splits once more for TRL."""
    config = gog.load_config(path, lake=lake) if path else gog.load_config(lake=lake, source={"count": 48})
    result = gog.run(config)
    if result.stopped:
        sys.exit(f"{result.stopped}; {result.advice}")

    run = gog.open_run(lake, config.run)
    outcomes = {verdict.trajectory_id: verdict.outcome for verdict in run.records(gog.Verdict)}
    tally = Counter(
        (trajectory.behaviour, outcomes[trajectory.trajectory_id])
        for trajectory in run.records(gog.Trajectory)
        if trajectory.trajectory_id in outcomes
    )
    for (behaviour, outcome), count in sorted(tally.items()):
        print(f"{behaviour:12} {outcome:8} {count:5}")

    print(f"{run.arrow('curated').num_rows} trajectories are kept")
    print("splits  ", gog.export(config, "sft"))
    print("for TRL ", gog.export(config, "sft", "trl", "qwen3-vl"))


if __name__ == "__main__":  # Beam's workers may import this file
    main(*sys.argv[1:])

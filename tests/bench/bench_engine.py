"""One run of the engine in a process of its own, measured from inside.

`python tests/bench/bench_engine.py '{"config": {...}, "steps": [...]}'` prints a line of JSON, a `Measured`. `run.py`
starts it. Progress goes to stderr.
"""

import json
import logging
import resource
import sys
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()
EVERY_S = 20.0


@dataclass(frozen=True)
class Measured:
    """What a run took: seconds from the start of the script, those of each step, memory in MiB, and what it made."""

    wall_s: float
    cpu_s: float
    steps: dict[str, float]
    peak_mib: float
    calls: int
    """Calls that this process made."""
    trajectories: int


def measure(config: dict[str, Any], steps: list[str] | None) -> Measured:
    """Run, and say what it took."""
    logging.disable(logging.WARNING)
    from gog.pipelines.config.config import parse_config
    from gog.pipelines.connect.services import open_store
    from gog.pipelines.lake.lake import Lake
    from gog.pipelines.steps.run import STEPS, run

    parsed = parse_config(config)
    marks: list[tuple[str, float]] = []
    shown = time.perf_counter()

    def on_shard(step: str, done: int, shards: int) -> None:
        nonlocal shown
        now = time.perf_counter()
        marks.append((step, now))
        if now - shown > EVERY_S:
            shown = now
            sys.stderr.write(f"    {now - STARTED:4.0f} s, {step} {done} of {shards} shards\n")

    before = open_store(parsed).spend(parsed.run).calls
    result = run(parsed, steps=tuple(steps or STEPS), on_shard=on_shard)
    marks.append(("", time.perf_counter()))
    taken: dict[str, float] = {}
    for (step, began), (_, ended) in pairwise(marks):
        taken[step] = taken.get(step, 0.0) + ended - began
    usage = resource.getrusage(resource.RUSAGE_SELF)
    rows = Lake(Path(parsed.lake)).read_rows(parsed.run, "trajectories")
    return Measured(
        wall_s=marks[-1][1] - STARTED,
        cpu_s=usage.ru_utime + usage.ru_stime,
        steps=taken,
        peak_mib=usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10),
        calls=round(result.manifest.spend["calls"]) - before,
        trajectories=sum(1 for _ in rows),
    )


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps(asdict(measure(asked["config"], asked.get("steps")))))

"""What many seeds cost: processor seconds a seed by step and by shard, and the memory of each process.

`PYTHONPATH=tests python -m bench.bench_scale FOLDER SEEDS [--atlas]` types `gog run` with one attempt a seed, over
drawn pictures (`drawn_world.py`) or the bundled world, into a lake in FOLDER that is left there, and prints a line of
JSON. Every second all processes of the command are looked at; a step ends where it has written its counts.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from bench.drawn_world import MAPPING, SERVICES, draw

EVERY_S: Final = 1.0
TICK: Final = os.sysconf("SC_CLK_TCK")
LITTLE: Final[dict[str, Any]] = {
    "screen": {"passes": 1},
    "synthesize": {"rollouts": 1, "composed": 0},
    "label": {"k": 1},
}


@dataclass
class Watched:
    """Processor seconds of a command at each moment, and the most memory that its processes had, in MiB."""

    at: list[float]
    cpu_s: list[float]
    first_mib: float = 0.0
    """Of the process that leads,"""
    other_mib: float = 0.0
    """of each other one: what it shares with none counts whole, what it shares in parts."""

    def used(self, moment: float) -> float:
        """Processor seconds until then."""
        return self.cpu_s[min(bisect_left(self.at, moment), len(self.at) - 1)]


def watch(process: "subprocess.Popen[bytes]", told: Path, every_s: float = EVERY_S) -> Watched:
    """Look at it until it ends; what was found so far is kept in a file."""
    found = Watched([time.time()], [0.0])
    while process.poll() is None:
        used = 0.0
        for pid, seconds in _processes(process.pid).items():
            used += seconds
            mib = _memory(pid)
            if pid == process.pid:
                found.first_mib = max(found.first_mib, mib)
            else:
                found.other_mib = max(found.other_mib, mib)
        found.at.append(time.time())
        found.cpu_s.append(max(used, found.cpu_s[-1]))
        told.write_text(f"{used:.0f} CPU s, {found.first_mib:.0f} and {found.other_mib:.0f} MiB\n", "utf-8")
        time.sleep(every_s)
    return found


def _processes(first: int) -> dict[int, float]:
    """A process and all below it, with the processor seconds of each and of its children that have ended."""
    parents, used = dict[int, int](), dict[int, float]()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "stat").read_text().rpartition(")")[2].split()
            parents[int(folder.name)] = int(words[1])
            used[int(folder.name)] = sum(map(int, words[11:15])) / TICK
    return {pid: seconds for pid, seconds in used.items() if first in _line(pid, parents)}


def _line(pid: int, parents: dict[int, int]) -> Iterator[int]:
    """A process, its parent, and so on."""
    while pid:
        yield pid
        pid = parents.get(pid, 0)


def _memory(pid: int) -> float:
    """Memory of a process in MiB, its share of what it has with others."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def steps_of(run: Path, watched: Watched) -> dict[str, list[float]]:
    """Processor seconds of each shard of each step, in the order in which they ended."""
    found: dict[str, list[float]] = {}
    before = 0.0
    for path in sorted((run / "funnel").glob("*.parquet"), key=lambda path: path.stat().st_mtime_ns):
        used = watched.used(path.stat().st_mtime)
        found.setdefault(path.name.split("-")[1], []).append(round(used - before, 1))
        before = used
    return found | {"views": [round(watched.cpu_s[-1] - before, 1)]}


def main() -> None:
    """Run it, watch it, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("seeds", type=int)
    parser.add_argument("--atlas", action="store_true", help="the bundled world, whose model looks at its pictures")
    options = parser.parse_args()
    folder, seeds = options.folder.resolve(), options.seeds
    folder.mkdir(parents=True, exist_ok=True)
    config = {"run": "scale", "lake": str(folder / "lake"), **LITTLE}
    config |= {"source": {"kind": "atlas", "count": seeds}} if options.atlas else drawn(folder / "pictures", seeds)
    (folder / "gog.yaml").write_text(yaml.safe_dump(config), "utf-8")
    command = [sys.executable, "-m", "gog.pipelines.cli.main", "run", "--config", str(folder / "gog.yaml")]
    began = time.time()
    with (folder / "out").open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
        watched = watch(process, folder / "watched")
    steps = steps_of(folder / "lake" / "runs" / "scale", watched)
    shown = {
        "seeds": seeds,
        "exit code": process.returncode,
        "seconds": round(time.time() - began),
        "cpu_s": round(watched.cpu_s[-1], 1),
        "cpu ms a seed": {step: round(1000 * sum(each) / seeds, 2) for step, each in steps.items()},
        "shards": steps,
        "peak MiB": {"first": round(watched.first_mib), "others": round(watched.other_mib)},
    }
    print(json.dumps(shown))


def drawn(folder: Path, seeds: int) -> dict[str, Any]:
    """A config's keys for so many drawn pictures, which are drawn unless they are there."""
    rows = folder / "rows.jsonl"
    if not rows.exists():
        draw(folder, seeds)
    source = {"kind": "jsonl", "path": str(rows), "dataset": "drawn", "mapping": MAPPING}
    return {"source": source, **SERVICES}


if __name__ == "__main__":
    main()

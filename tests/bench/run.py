"""Speed and memory of the engine: `make bench ARGS='[--quick] [--only PART]... [--keep] [--out FILE]'`.

Medians of five, each in a fresh process and, where it starts cold, over a fresh lake in a temporary folder. The
services are the embedded ones, so the time is the engine's and theirs. `--quick` leaves out the memory of 10,000
seeds, which takes most of the time, and `--only` all but some parts; `--keep` writes the table as JSON to
`docs/bench`, with the page of what has moved; `--out` writes it as Markdown.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.record import Line, Record, keep, last, moved, named, table

HERE = Path(__file__).parent
ROUNDS = 5
SEEDS = 200
FEW, MANY, SHARD = 1000, 10_000, 500
Json = dict[str, Any]


def say(text: str) -> None:
    """Progress, apart from the table."""
    sys.stderr.write(text + "\n")


def child(script: str, *arguments: str) -> Any:
    """What a script of this folder prints as its last line, as JSON. Raises `CalledProcessError`."""
    command = [sys.executable, str(HERE / script), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def engine(lake: Path, run: str, seeds: int, more: Json | None = None, steps: Sequence[str] = ()) -> Json:
    """One run of the engine over the bundled world, measured in a process of its own."""
    config = {"lake": str(lake), "run": run, "source": {"kind": "atlas", "count": seeds}} | (more or {})
    found: Json = child("bench_engine.py", json.dumps({"config": config, "steps": list(steps) or None}))
    return found


def median_line(what: str, values: Sequence[float], form: str, target: str = "") -> Line:
    """Median and range of what was measured."""
    low, high = (format(value, form) for value in (min(values), max(values)))
    return Line(what, format(statistics.median(values), form), f"{low} to {high}", target)


def speed(folder: Path) -> Iterator[Line]:
    """Cold runs, then runs over the store of the last one."""
    say(f"{ROUNDS} cold runs of {SEEDS} seeds")
    cold = [engine(folder / f"cold-{n}", "run", SEEDS) for n in range(ROUNDS)]
    yield median_line(f"seeds a second, {SEEDS} seeds, cold store", [SEEDS / c["wall_s"] for c in cold], ".1f")
    yield median_line("CPU seconds of it", [c["cpu_s"] for c in cold], ".1f")
    lake = folder / f"cold-{ROUNDS - 1}"
    say(f"{ROUNDS} new runs over a warm store")
    warm = [engine(lake, f"warm-{n}", SEEDS) for n in range(ROUNDS)]
    calls = max(w["calls"] for w in warm)
    made = [w["trajectories"] / w["steps"]["synthesize"] for w in warm]
    yield median_line("warm store: trajectories a second, screened to written", made, ".0f", "at least 150")
    whole = [w["trajectories"] / w["wall_s"] for w in warm]
    yield median_line("... from the start of the process to its end", whole, ".0f")
    yield Line("... calls made", f"{calls}", target="0")
    say(f"{ROUNDS} reruns of finished shards")
    again = [engine(lake, "warm-0", SEEDS) for _ in range(ROUNDS)]
    yield median_line("rerun of finished shards, seconds", [a["wall_s"] for a in again], ".1f")


def window(_: Path) -> Iterator[Line]:
    """Calls through the sliding window; see `bench_window.py`."""
    say("calls through the sliding window")
    for case in child("bench_window.py", "--json"):
        rate = {key: case["calls"] / case[f"{key}_s"] for key in ("ideal", "bare", "window", "run")}
        low, high = (case["calls"] / seconds for seconds in reversed(case["spread"]))
        yield Line(
            f"calls a second, 64 wide, {case['case']}",
            f"{rate['window']:.0f} ({rate['window'] / rate['bare']:.0%} of bare)",
            f"{low:.0f} to {high:.0f}",
            "at least 85% of bare",
        )
        yield Line(
            "... ideal, bare loop, whole pipeline", f"{rate['ideal']:.0f}, {rate['bare']:.0f}, {rate['run']:.0f}"
        )


def http(_: Path) -> Iterator[Line]:
    """Calls over real sockets; see `bench_http.py`."""
    say("calls over real sockets")
    for case in child("bench_http.py", "--json"):
        rate = {key: case["calls"] / case[f"{key}_s"] for key in ("ideal", "bare", "ours")}
        low, high = (case["calls"] / seconds for seconds in reversed(case["spread"]))
        beside, target = ("ideal", "at least 90%") if case["beside_ideal"] else ("bare", "at least 85%")
        yield Line(
            f"calls a second over HTTP, {case['case']}",
            f"{rate['ours']:.0f} ({rate['ours'] / rate[beside]:.0%} of {beside})",
            f"{low:.0f} to {high:.0f}",
            f"{target} of {beside}",
        )
        yield Line("... ideal, bare client", f"{rate['ideal']:.0f}, {rate['bare']:.0f}")


def steps(_: Path) -> Iterator[Line]:
    """Steps of a training's environment; see `bench_steps.py`."""
    say("steps of a training's environment")
    found = child("bench_steps.py")
    cpu = {name: times["cpu"] for name, times in found["steps"].items()}
    what = f"environment step over {found['pictures']:,} pictures, CPU ms beside the encoder"
    every, gaze, bare = cpu["every step"], cpu["gaze"], cpu["bare"]
    yield Line(what, f"{every['p50']:.1f}", f"95%: {every['p95']:.1f}", "at most 5")
    yield Line("... a gaze", f"{gaze['p50']:.1f}", f"95%: {gaze['p95']:.1f}", "at most 5")
    yield Line("... its crop and comparison alone", f"{bare['p50']:.1f}", f"95%: {bare['p95']:.1f}")
    yield Line("... 16 rollouts at once, a step", f"{found['at once']['cpu']:.1f}")


def ingest(_: Path) -> Iterator[Line]:
    """Pictures taken in on all cores; see `bench_ingest.py`."""
    say("ingest of pictures on all cores")
    found = child("bench_ingest.py")
    rates = {name: statistics.median(one["rates"]) for name, one in found.items()}
    ours = found["ours"]["rates"]
    yield Line(
        f"pictures a second, {found['ours']['pictures']:,} JPEGs of 2 megapixels",
        f"{rates['ours']:.0f} ({rates['ours'] / rates['plain']:.0%} of a plain pool)",
        f"{min(ours):.0f} to {max(ours):.0f}",
        "at least 90% of it",
    )
    yield Line("... plain pool, lean pool", f"{rates['plain']:.0f}, {rates['lean']:.0f}")


def start_up(_: Path) -> Iterator[Line]:
    """CPU seconds, user and system, of commands that need nothing of the engine."""
    for command, target in (("--version", "under 0.25"), ("docter", "under 0.4")):
        say(f"start-up of gog {command}")
        values = [cpu_seconds([sys.executable, "-m", "gog.pipelines.cli.main", command]) for _ in range(ROUNDS)]
        yield median_line(f"CPU seconds of gog {command}", values, ".2f", target)


def cpu_seconds(command: Sequence[str]) -> float:
    """User and system time of a process and of what it started."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def memory(folder: Path) -> Iterator[Line]:
    """Peak memory of few and many seeds at one shard size, with as little work a seed as there can be."""
    little = {"shard_size": SHARD, "screen": {"passes": 1}, "synthesize": {"rollouts": 1, "composed": 0}}
    peaks = {}
    for seeds in (FEW, MANY):
        say(f"memory of {seeds} seeds in shards of {SHARD}")
        lake = folder / f"memory-{seeds}"
        found = engine(lake, "run", seeds, little, ["ingest", "synthesize", "curate", "export_sft"])
        peaks[seeds] = found["peak_mib"]
        yield Line(f"peak memory of {seeds:,} seeds in shards of {SHARD}, MiB", f"{found['peak_mib']:.0f}")
    yield Line("... difference, MiB", f"{peaks[MANY] - peaks[FEW]:.0f}", target="at most 60")


PARTS: Final[dict[str, Callable[[Path], Iterator[Line]]]] = {
    "start-up": start_up,
    "speed": speed,
    "ingest": ingest,
    "window": window,
    "http": http,
    "steps": steps,
    "memory": memory,
}
"""What is measured, in the order of the table; each in a folder for its lakes."""


def markdown(lines: Sequence[Line]) -> str:
    """The table as Markdown, its columns aligned; the last one says what has moved since the last record."""
    rows = [["", "median", "least to most", "target"], *([o.what, o.found, o.spread, o.target] for o in lines)]
    if before := last(machine(), today()):
        then = named(before.lines)
        since = [f"since {before.date}", *(moved(line, then.get(name)) for name, line in named(lines).items())]
        rows = [[*row, cell] for row, cell in zip(rows, since, strict=True)]
    return table(rows)


def today() -> str:
    """As records have it."""
    return datetime.now(UTC).date().isoformat()


def machine() -> str:
    """What the numbers were measured on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, {platform.machine()}, Python {platform.python_version()}"


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description="Measure the engine's speed and memory.")
    parser.add_argument("--quick", action="store_true", help="leave out the memory of 10,000 seeds")
    parser.add_argument("--only", action="append", choices=[*PARTS], help="this part, and others named so")
    parser.add_argument("--keep", action="store_true", help="keep the table as JSON in docs/bench, by date")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the table as Markdown as well")
    options = parser.parse_args()
    started, load = time.perf_counter(), round(os.getloadavg()[0], 1)
    with tempfile.TemporaryDirectory(prefix="gog-bench-") as name:
        chosen = options.only or [part for part in PARTS if not (options.quick and part == "memory")]
        lines = [line for part, measure in PARTS.items() if part in chosen for line in measure(Path(name))]
    minutes = (time.perf_counter() - started) / 60
    text = f"{markdown(lines)}\n\nMedians of {ROUNDS} (memory: one run). {machine()}. Took {minutes:.0f} minutes.\n"
    sys.stdout.write(text)
    if options.keep:
        record = Record(today(), machine(), load, tuple(lines))
        sys.stdout.write(f"kept in {keep(record)}\n")
    if options.out:
        options.out.write_text(text, "utf-8")


if __name__ == "__main__":
    main()

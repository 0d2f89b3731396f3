"""Fuzz the targets by coverage (atheris), each for a while, and tell what was found. `make fuzz` runs it.

    python tests/fuzz/run.py [--seconds 60] [--targets html,csv] [--work build/fuzz]

What leads to new paths is kept below `--work`, for the next time. A find lies below `--work/NAME/finds`, with what it
raised, and in the corpus of the repository, so that the tests have it from then on.
"""

import argparse
import hashlib
import re
import resource
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
GIB: Final = 1 << 30
EACH: Final = 32
"""Inputs of which one is lengthened, for what it costs."""
SLOWEST: Final = 5
"""Inputs of a target that are timed again, without the weight of measuring paths."""
LIBRARIES: Final = ("gog", "trafilatura", "justext", "yaml", "markdown_it", "protego", "pdftext")


def fuzz(name: str, seconds: int, work: Path) -> None:
    """One target, in this process; it ends the process."""
    import atheris

    with atheris.instrument_imports(include=list(LIBRARIES)):
        # What is imported late would not be seen.
        import markdown_it  # noqa: F401
        import pdftext.extraction  # noqa: F401
        import protego  # noqa: F401
        import trafilatura  # noqa: F401
        from fuzz.targets import LONG, TARGETS, lengthened
    target = TARGETS[name]
    resource.setrlimit(resource.RLIMIT_AS, (8 * GIB, 8 * GIB))
    slow: list[tuple[float, bytes]] = []
    seen = set[str]()
    count = 0

    def tried(data: bytes) -> None:
        try:
            cost = target.seconds_of(data)
        except BaseException as error:
            places = traceback.extract_tb(error.__traceback__)
            kind = f"{type(error).__name__} at {Path(places[-1].filename).name}:{places[-1].lineno}"
            if kind not in seen:
                seen.add(kind)
                _find(work, data, f"{kind}\n\n{traceback.format_exc()}")
            return
        slow.append((cost * LONG / max(LONG, len(data)), data))
        if len(slow) > 4 * SLOWEST:
            slow.sort(key=lambda pair: -pair[0])
            del slow[SLOWEST:]
            _keep(work / "slow", [data for _, data in slow])

    def one(data: bytes) -> None:
        nonlocal count
        count += 1
        tried(data)
        if target.text and data and count % EACH == 0:
            tried(lengthened(data))

    options = [
        f"-max_total_time={seconds}",
        *(
            "-max_len=20000",
            "-timeout=300",
            "-report_slow_units=300",
            "-rss_limit_mb=3000",
            "-print_final_stats=1",
            "-verbosity=1",
        ),
        f"-artifact_prefix={work}/crash-",
        *(str(folder) for folder in (work / "corpus", HERE / "corpus" / name)),
    ]
    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


def _keep(folder: Path, inputs: list[bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(inputs):
        (folder / str(number)).write_bytes(data)


def _find(work: Path, data: bytes, told: str) -> None:
    name = hashlib.sha256(data).hexdigest()[:12]
    (work / "finds").mkdir(exist_ok=True)
    (work / "finds" / name).write_bytes(data)
    (work / "finds" / f"{name}.txt").write_text(told, "utf-8", "replace")


def run(name: str, seconds: int, work: Path) -> list[str]:
    """One target in a process of its own: its row of the table. Prints its finds."""
    from fuzz.targets import LONG, TARGETS

    (work / "corpus").mkdir(parents=True, exist_ok=True)
    for old in (*work.glob("slow/*"), *work.glob("finds/*"), *work.glob("crash-*")):
        old.unlink()
    command = [sys.executable, str(HERE / "run.py"), "--one", name, "--seconds", str(seconds), "--work", str(work)]
    with (work / "log").open("wb") as log:
        subprocess.run(command, stdout=log, stderr=log, check=False)
    said = (work / "log").read_text("utf-8", "replace")
    if "number_of_executed_units" not in said and not list(work.glob("crash-*")):
        raise SystemExit(f"{name}: the fuzzer did not run; see {work}/log\n{said[-2000:]}")
    finds = [(path, path.with_suffix(".txt").read_text().splitlines()[0]) for path in _inputs(work / "finds")]
    finds += [(path, "the process ended, or took 300 s or 3 GB") for path in work.glob("crash-*")]
    worst = 0.0
    for path in _inputs(work / "slow"):
        data = path.read_bytes()
        cost = min(TARGETS[name].seconds_of(data) for _ in range(2)) * LONG / max(LONG, len(data))
        worst = max(worst, cost)
        if cost > TARGETS[name].seconds:
            finds.append((path, f"{cost:.1f} s for 100 kB"))
    for path, why in finds:
        data = path.read_bytes()
        kept = HERE / "corpus" / name / f"find-{hashlib.sha256(data).hexdigest()[:12]}"
        kept.write_bytes(data)
        print(f"{name}: {why}: {kept}", flush=True)
    counted = {key: int(value) for key, value in re.findall(r"stat::(\w+):\s+(\d+)", said)}
    paths = max([int(found) for found in re.findall(r"\bcov: (\d+)", said)], default=0)
    return [
        name,
        f"{counted.get('number_of_executed_units', 0):,}",
        f"{paths:,}",
        f"{counted.get('new_units_added', 0):,}",
        f"{worst:.2f} s",
        f"{counted.get('peak_rss_mb', 0):,} MB",
        str(len(finds)),
    ]


def _inputs(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*")) if path.suffix != ".txt"]


def main() -> int:
    """The table; 1 where something was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: 60)")
    parser.add_argument("--targets", default="", help="some of them, with commas between (default: all)")
    parser.add_argument("--work", type=Path, default=Path("build/fuzz"), help="where inputs are kept")
    parser.add_argument("--one", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path.insert(0, str(HERE.parent))
    if options.one:
        fuzz(options.one, options.seconds, options.work)
        return 0
    from fuzz.targets import TARGETS

    chosen = options.targets.split(",") if options.targets else list(TARGETS)
    if unknown := set(chosen) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    begun = time.monotonic()
    rows = [["target", "inputs", "paths", "new inputs", "worst of 100 kB", "memory", "finds"]]
    for name in chosen:
        print(f"{name}: {options.seconds} s", file=sys.stderr, flush=True)
        rows.append(run(name, options.seconds, options.work / name))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.rjust(width) if at else cell.ljust(width) for at, (cell, width) in
                        enumerate(zip(row, widths, strict=True))))  # fmt: skip
    print(f"{len(chosen)} targets in {(time.monotonic() - begun) / 60:.0f} minutes")
    return int(any(row[-1] != "0" for row in rows[1:]))


if __name__ == "__main__":
    sys.exit(main())

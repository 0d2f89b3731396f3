"""Runs of the engine that are disturbed, and what came of them: `make chaos`.

Each run is a lake of its own and real `gog run` processes against an HTTP server that counts. It is disturbed by one
kind of fault at moments that are drawn, then started again without fault until it ends, and compared with a run that
nobody disturbed. `--only NUMBER` repeats one, with the same draws.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from chaos.endpoint import listening
from chaos.faults import KINDS, MOUNTS, can_mount, why_not
from chaos.scene import Reference, Scene, small
from runs import files, records

WORLDS = 4
"""Undisturbed runs to compare with, each of another seed."""


@dataclass(frozen=True)
class Outcome:
    """What came of a disturbed run; `struck` is how often the fault met it at work."""

    number: int
    kind: str
    struck: int
    equal: bool
    repeated: int
    in_flight: int
    seconds: float
    problems: tuple[str, ...] = ()


def undisturbed(folder: Path, world: int, seeds: int) -> Reference:
    """A run that nobody disturbs."""
    folder.mkdir(parents=True)
    with listening() as endpoint:
        config = small(folder / "lake", world, seeds, endpoint.models)
        began = time.monotonic()
        scene = Scene(folder, config, endpoint, Reference(folder, {}, frozenset(), 0, 0), random.Random(0))
        scene.finish()
        seconds = time.monotonic() - began
        if scene.problems or scene.repeated:
            raise SystemExit(f"a run that nobody disturbed: {scene.problems or 'calls came twice'}")
        keys = frozenset(asked.key for asked in endpoint.asked)
        size = sum(path.stat().st_blocks * 512 for path in files(scene.lake).values())
        return Reference(scene.lake, records(config), keys, seconds, size)


def kind_of(number: int) -> str:
    """The kind of fault that a run of this number meets."""
    return list(KINDS)[number % len(KINDS)]


def disturbed(folder: Path, number: int, draws: str, seeds: int, reference: Reference) -> Outcome:
    """A run that is disturbed, and what came of it; of the same world as the undisturbed one."""
    folder.mkdir()
    kind = kind_of(number)
    began, rng = time.monotonic(), random.Random(f"{draws}/{number}/{kind}")
    with listening() as endpoint:
        config = small(folder / "lake", number % WORLDS, seeds, endpoint.models)
        scene = Scene(folder, config, endpoint, reference, rng)
        scene.lake.mkdir()
        if rng.random() < 0.85:  # the others are disturbed while they index the world, too
            shutil.copytree(reference.lake / "indexes", scene.lake / "indexes")
        equal = False
        try:
            configs = KINDS[kind](scene)
            for left in configs or (config,):
                scene.wait(scene.start(config=left), 0)
            equal = scene.check(*configs)
        except Exception as error:  # a run that breaks the driver is a finding, too
            scene.problems.append(f"{type(error).__name__}: {error}"[:400])
        repeated, at_risk = scene.repeated.total(), sum(scene.in_flight)
        if os.path.ismount(scene.lake):
            subprocess.run(["umount", "-l", str(scene.lake)], check=False)
        if not scene.problems:
            shutil.rmtree(folder)
    seconds = round(time.monotonic() - began, 1)
    return Outcome(number, kind, scene.struck, equal, repeated, at_risk, seconds, tuple(scene.problems))


def table(outcomes: list[Outcome], draws: str) -> str:
    """The outcomes by kind of fault, as Markdown, with how to repeat what failed."""
    lines = [
        "| fault | runs | struck | equal | calls repeated | most of a run | most in flight | failed |",
        "| ----- | ---- | ------ | ----- | -------------- | ------------- | -------------- | ------ |",
    ]
    for kind in (*KINDS, "all"):
        if found := [outcome for outcome in outcomes if kind in (outcome.kind, "all")]:
            cells = (
                kind,
                len(found),
                sum(1 for outcome in found if outcome.struck),
                sum(outcome.equal for outcome in found),
                sum(outcome.repeated for outcome in found),
                max(outcome.repeated for outcome in found),
                max(outcome.in_flight for outcome in found),
                ", ".join(str(outcome.number) for outcome in found if outcome.problems) or "none",
            )
            lines.append(f"| {' | '.join(map(str, cells))} |")
    for outcome in outcomes:
        lines += [f"\n{outcome.number} ({outcome.kind}): {problem}" for problem in outcome.problems]
        lines += [f"  again: make chaos SEED={draws} ONLY={outcome.number}"] if outcome.problems else []
    return "\n".join(lines)


def run(numbers: list[int], *, seeds: int, draws: str, jobs: int, out: Path) -> list[Outcome]:
    """Disturb runs of these numbers; a number has its kind of fault. Writes the table so far into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    base = Path(tempfile.mkdtemp(prefix="gog-chaos-"))
    outcomes: list[Outcome] = []
    try:
        with ProcessPoolExecutor(jobs) as pool:
            worlds = sorted({number % WORLDS for number in numbers})
            making = {world: pool.submit(undisturbed, base / f"world-{world}", world, seeds) for world in worlds}
            references = {world: made.result() for world, made in making.items()}
            for made in references.values():
                print(f"undisturbed: {made.seconds:.0f} s, {len(made.keys)} calls", flush=True)
            started = [
                pool.submit(disturbed, base / str(number), number, draws, seeds, references[number % WORLDS])
                for number in numbers
            ]
            for done in as_completed(started):
                outcomes.append(outcome := done.result())
                tell(outcome, f"{len(outcomes)}/{len(numbers)}")
                if outcome.problems:
                    kept = out / f"failed-{outcome.number}"
                    shutil.rmtree(kept, ignore_errors=True)
                    shutil.move(base / str(outcome.number), kept)
                outcomes.sort(key=lambda outcome: outcome.number)
                (out / "table.md").write_text(table(outcomes, draws) + "\n", "utf-8")
    finally:
        shutil.rmtree(base, ignore_errors=True)
    return outcomes


def tell(outcome: Outcome, count: str) -> None:
    """A line of progress."""
    said = "; ".join(outcome.problems) or ("ok" if outcome.struck else "ok, but the fault came too late")
    print(f"{count:>8}  {outcome.number:4} {outcome.kind:20} {outcome.seconds:5.0f} s  {said}", flush=True)


def numbers_of(runs: int, only: list[int] | None, kinds: list[str]) -> list[int]:
    """The numbers of the runs to make: kinds that cannot be had here are left out with a word."""
    for kind in kinds:
        if why := why_not(kind):
            print(f"left out: {kind}: {why}", flush=True)
    here = [kind for kind in kinds if not why_not(kind)]
    if only is not None or not here:
        return [number for number in only or [] if kind_of(number) in here]
    return list(islice((number for number in count() if kind_of(number) in here), runs))


def main(argv: list[str]) -> int:
    """Run them; 1 where something was found."""
    parser = argparse.ArgumentParser(description="Disturb runs of the engine, and look at what comes of them.")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=40, help="seeds a run")
    parser.add_argument("--seed", default="0", help="of all draws")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--only", type=int, action="append", metavar="NUMBER", help="this run; may be repeated")
    parser.add_argument("--kind", choices=KINDS, action="append", help="of faults; may be repeated")
    parser.add_argument("--out", type=Path, default=Path("build/chaos"), help="the table, and lakes of what failed")
    asked = parser.parse_args(argv)
    # What a shell starts in the background ignores SIGINT, and so would the runs.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    began = time.monotonic()
    numbers = numbers_of(asked.runs, asked.only, asked.kind or list(KINDS))
    outcomes = run(numbers, seeds=asked.seeds, draws=asked.seed, jobs=asked.jobs, out=asked.out)
    print(f"\n{table(outcomes, asked.seed)}\n\n{len(outcomes)} runs in {(time.monotonic() - began) / 60:.0f} min")
    return 1 if any(outcome.problems for outcome in outcomes) else 0


def in_a_namespace(argv: list[str]) -> int:
    """Run in a mount namespace of its own, where that is allowed: disks that are made go with it."""
    namespace = ["unshare", "-Urm"]
    if not can_mount() and shutil.which("unshare"):
        tried = subprocess.run([*namespace, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False)
        if tried.returncode == 0:
            os.environ[MOUNTS] = "1"
            os.execvp(namespace[0], [*namespace, sys.executable, "-m", "chaos.run", *argv])
    return main(argv)


if __name__ == "__main__":
    sys.exit(in_a_namespace(sys.argv[1:]))

"""A run that is killed, again and again, ends as if nothing had happened, and pays for nothing twice."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from runs import atlas, calls, check_nothing_lost, files, hashes, number, records, run_folder, write_config

from gog.pipelines.config.config import Config
from gog.pipelines.lake.lake import Lake

CHILD = Path(__file__).with_name("child.py")
STEPS = {"ingest": 40, "synthesize": 700, "curate": 12, "export_sft": 6, "label": 300, "export_rl": 6}
"""Steps, and about how many things a step does (in a shard): where a kill may come."""


def moments(rng: random.Random, count: int) -> list[tuple[str, int, float]]:
    """Random moments, at least one in every step, in the order in which a run comes past them."""
    steps = [*STEPS, *rng.choices(("ingest", "synthesize", "synthesize", "label"), k=count - len(STEPS))]
    steps.sort(key=lambda step: (list(STEPS).index(step) + 1) // 2 * 2)
    return [(step, rng.randint(1, STEPS[step]), rng.choice((0.0, rng.uniform(0, 0.05)))) for step in steps]


def start(config: Path, log: Path, *moment: object) -> "subprocess.Popen[str]":
    command = [sys.executable, str(CHILD), str(config), str(log), *map(str, moment)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)


def notes(log: Path) -> list[tuple[list[str], set[str]]]:
    """Of each process: the keys of the calls it began, and of those in flight when it ended.

    A kill can cut the last line of a process short; such a line says of nothing that it happened.
    """
    found: list[tuple[list[str], set[str]]] = []
    for line in log.read_text().splitlines():
        match line.split(" "):
            case ["start"]:
                found.append(([], set()))
            case ["begin", key] if len(key) == 64:
                found[-1][0].append(key)
                found[-1][1].add(key)
            case ["end", key] if len(key) == 64:
                found[-1][1].discard(key)
    return found


def pictures(config: Config) -> dict[str, str]:
    """Every picture in the lake."""
    return hashes(Path(config.lake) / "images", but=(".passing/*",))


@pytest.mark.slow
def test_killed_at_ten_random_moments(tiny: Config, tmp_path: Path) -> None:
    config = atlas(tmp_path / "lake")
    file, log = write_config(config, tmp_path / "config.yaml"), tmp_path / "log"
    for moment in moments(random.Random(2), 10):
        child = start(file, log, *moment)
        _, errors = child.communicate(timeout=200)
        assert child.returncode == -signal.SIGKILL, f"{moment}: {errors}"
    child = start(file, log)
    _, errors = child.communicate(timeout=200)
    assert child.returncode == 0, errors

    assert records(config) == records(tiny)
    assert pictures(config) == pictures(tiny)
    # What may be another run's goes once it is old: see the tests of the lake.
    left = files(Path(config.lake), but=("images/.passing/*", "indexes/.*", "runs/*/exports/.*.json"))
    assert [name for name in left if name.endswith(".tmp") or "/." in name] == []
    check_nothing_lost(config, rows=48)

    processes = notes(log)
    assert len(processes) == 11
    assert sum(1 for began, _ in processes if began) >= 4, "the kills came before or after the calls"
    answered: set[str] = set()
    for began, in_flight in processes:
        assert len(began) == len(set(began)), "one process made a call twice"
        assert not answered.intersection(began), "a call was repeated though its answer was kept"
        answered |= set(began) - in_flight
    made = sum(len(began) for began, _ in processes)
    repeated = made - len({key for began, _ in processes for key in began})
    assert repeated <= sum(len(in_flight) for _, in_flight in processes[:-1])
    assert made - repeated == calls(tiny)[0]
    assert number(config, "SELECT sum(attempts) FROM events") >= made - repeated, "what was spent is known"


@pytest.mark.slow
def test_killed_from_outside_while_calls_are_in_flight(tiny: Config, tmp_path: Path) -> None:
    """A kill by another process, at a time and not at a point of the work."""
    config = atlas(tmp_path / "lake")
    file, log = write_config(config, tmp_path / "config.yaml"), tmp_path / "log"
    child = start(file, log)
    while not log.exists() or log.stat().st_size < 20_000:
        assert child.poll() is None
        os.sched_yield()
    child.kill()
    child.communicate(timeout=60)
    ((began, in_flight),) = notes(log)
    assert began
    with Lake(Path(config.lake)).lock(config.run):
        pass  # the killed process holds nothing
    child = start(file, log)
    _, errors = child.communicate(timeout=200)
    assert child.returncode == 0, errors
    _, (again, _) = notes(log)
    assert set(began) & set(again) <= in_flight
    assert records(config) == records(tiny)
    assert run_folder(config).is_dir()

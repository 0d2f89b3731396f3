"""What is done to a run: one function a kind. Each leaves the lake as somebody finds it who starts the command anew."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from chaos.endpoint import Manner
from chaos.scene import Scene, moment, small

from gog.pipelines.config.config import Config

Fault = Callable[[Scene], tuple[Config, ...]]
"""Disturbs a run, and returns the configs of the runs that are looked at, none for the scene's own."""

MOUNTS: Final = "GOG_CHAOS_MOUNTS"
"""Set in a mount namespace of our own."""


def kill(scene: Scene) -> tuple[Config, ...]:
    """SIGKILL, up to three times."""
    for _ in range(scene.rng.randint(1, 3)):
        process = scene.start()
        if scene.reach(moment(scene.rng, scene.reference), process):
            scene.strike(process, signal.SIGKILL)
        if scene.wait(process, -signal.SIGKILL, 0) == 0:
            break
    return ()


def kill_worker(scene: Scene) -> tuple[Config, ...]:
    """SIGKILL of one of the processes that Beam's local runner works in."""
    beam = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
    process = scene.start(beam=beam)
    if scene.reach(moment(scene.rng, scene.reference), process) and (workers := _workers(scene, process)):
        scene.struck += 1
        os.kill(scene.rng.choice(workers), signal.SIGKILL)
    scene.wait(process, 1, 0, said="the same command goes on", loud=True)
    return ()


def terminate(scene: Scene) -> tuple[Config, ...]:
    """SIGTERM, which is Ctrl-C once the command has begun."""
    process = scene.start()
    if scene.reach(moment(scene.rng, scene.reference), process):
        scene.strike(process, signal.SIGTERM)
    scene.wait(process, -signal.SIGTERM, 130, 0)
    return ()


def interrupt(scene: Scene) -> tuple[Config, ...]:
    """SIGINT, as Ctrl-C sends it, twice."""
    for _ in range(2):
        process = scene.start()
        if scene.reach(moment(scene.rng, scene.reference), process):
            scene.strike(process, signal.SIGINT)
        if scene.wait(process, 130, 0, said="the same command goes on") == 0:
            break
    return ()


def full(scene: Scene) -> tuple[Config, ...]:
    """A small disk that fills up; then it is made large."""
    with_disk(scene)
    free = scene.reference.size - _size(scene.lake)
    size = _size(scene.lake) + int(free * scene.rng.uniform(0.02, 1.3)) + 65_536
    _mount("-o", f"remount,size={size}", str(scene.lake))
    if scene.wait(scene.start(), 1, 0, said="full") == 1:
        scene.struck += 1
    _mount("-o", "remount,size=1g", str(scene.lake))
    return ()


def file_limit(scene: Scene) -> tuple[Config, ...]:
    """No file may grow beyond a size (`ulimit -f`)."""
    size = int(2 ** scene.rng.uniform(12, 21))
    if scene.wait(scene.start(file_limit=size), 1, 0) == 1:
        scene.struck += 1
    return ()


def read_only(scene: Scene) -> tuple[Config, ...]:
    """A disk that can only be read when the run goes on after a kill."""
    with_disk(scene)
    process = scene.start()
    if scene.reach(moment(scene.rng, scene.reference), process):
        scene.strike(process, signal.SIGKILL)
    if scene.wait(process, -signal.SIGKILL, 0) != 0:
        _mount("-o", "remount,ro", str(scene.lake))
        scene.wait(scene.start(), 1, said="read-only")
        _mount("-o", "remount,rw", str(scene.lake))
    return ()


def read_only_meanwhile(scene: Scene) -> tuple[Config, ...]:
    """Folders of the lake lose the right to write while the run is at work."""
    # Root writes everywhere unless it gives that up.
    drop = "-dac_override,-dac_read_search,-fowner"
    wrapped = ["setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}"] if os.geteuid() == 0 else []
    process = scene.start(wrapped=wrapped)
    if scene.reach(moment(scene.rng, scene.reference), process):
        scene.struck += 1
        _allow(scene.lake, 0o555)
    scene.wait(process, 1, 0, said="read-only")
    _allow(scene.lake, 0o755)
    return ()


def slow(scene: Scene) -> tuple[Config, ...]:
    """Answers that take up to two seconds, and a kill."""
    longest = scene.rng.choice((0.1, 0.5, 2.0))
    scene.endpoint.manner = Manner(str(scene.rng.random()), latency_s=(0.0, longest))
    process = scene.start()
    scene.struck += 1
    if scene.rng.random() < 0.5 and scene.reach(moment(scene.rng, scene.reference), process):
        scene.strike(process, signal.SIGKILL)
    scene.wait(process, -signal.SIGKILL, 0)
    scene.endpoint.manner = Manner()
    return ()


def lying(scene: Scene) -> tuple[Config, ...]:
    """Answers that are none, to a share of the calls."""
    scene.endpoint.manner = Manner(str(scene.rng.random()), lies=scene.rng.choice((0.03, 0.1, 0.25)))
    scene.struck += 1
    scene.wait(scene.start(), 0)
    scene.endpoint.manner = Manner()
    return ()


def outages(scene: Scene) -> tuple[Config, ...]:
    """Seconds in which every call is refused with 429, 500, 502 or 503."""
    numbers = sorted(scene.rng.sample(range(1, len(scene.reference.keys)), 3))
    scene.endpoint.manner = Manner(str(scene.rng.random()), outages=tuple(numbers), outage_s=scene.rng.uniform(0.3, 2))
    scene.struck += 1
    scene.wait(scene.start(), 0)
    scene.endpoint.manner = Manner()
    return ()


def lying_and_killed(scene: Scene) -> tuple[Config, ...]:
    """Answers that are none, and SIGKILL."""
    scene.endpoint.manner = Manner(str(scene.rng.random()), lies=0.2, latency_s=(0.0, 0.2))
    kill(scene)
    scene.endpoint.manner = Manner()
    return ()


def clock(scene: Scene) -> tuple[Config, ...]:
    """The clock jumps, hours and days, forth and back."""
    now = scene.folder / "now"
    now.write_text("+0")
    fakes = {
        "LD_PRELOAD": faketime(),
        "FAKETIME_TIMESTAMP_FILE": str(now),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    process = scene.start(environment=fakes)
    for _ in range(3):
        if scene.reach(moment(scene.rng, scene.reference), process):
            scene.struck += 1
            jump = scene.rng.choice((-400 * 86_400, -86_400, -3700, -2, 2, 3700, 86_400, 400 * 86_400))
            now.write_text(f"{jump:+d}")
    scene.wait(process, 0)
    return ()


def two_writers(scene: Scene) -> tuple[Config, ...]:
    """A second process of the same run, which is refused."""
    first = scene.start()
    if scene.reach(moment(scene.rng, scene.reference), first):
        second = scene.start()
        code = second.wait()
        if first.poll() is None or code == 1:
            scene.struck += 1
            scene.wait(second, 1, said="another process")
            scene.in_flight.pop()  # it had made no call
    scene.wait(first, 0)
    return ()


def two_runs(scene: Scene) -> tuple[Config, ...]:
    """Two runs of one lake at the same time, one of which may be killed."""
    models, scene.together = scene.endpoint.models, True
    other = small(scene.lake, scene.config.seed, _count(scene), models, "other")
    first = scene.start()
    time.sleep(scene.rng.uniform(0, 6))
    second = scene.start(config=other)
    scene.struck += 1
    if scene.rng.random() < 0.5 and scene.reach(moment(scene.rng, scene.reference), first):
        scene.strike(first, signal.SIGKILL)
    scene.wait(first, 0, -signal.SIGKILL)
    scene.wait(second, 0)
    return (scene.config, other)


def with_disk(scene: Scene) -> None:
    """Put the lake on a disk of its own."""
    aside = scene.lake.with_name("aside")
    scene.lake.rename(aside)
    scene.lake.mkdir()
    _mount("-t", "tmpfs", "-o", "size=1g", "tmpfs", str(scene.lake))
    shutil.copytree(aside, scene.lake, dirs_exist_ok=True)
    shutil.rmtree(aside)


@cache
def faketime() -> str:
    """The library that lets clocks jump; empty where it is not installed."""
    named = os.environ.get("LIBFAKETIME", "")
    return named or next(map(str, Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), "")


@cache
def can_mount() -> bool:
    """Whether disks can be made here; `run.py` starts in a namespace of its own where that is allowed."""
    return bool(os.environ.get(MOUNTS))


KINDS: Final[dict[str, Fault]] = {
    "kill": kill,
    "lying": lying,
    "full disk": full,
    "two writers": two_writers,
    "ctrl-c": interrupt,
    "outages": outages,
    "clock": clock,
    "kill while lying": lying_and_killed,
    "read-only": read_only,
    "term": terminate,
    "slow": slow,
    "two runs": two_runs,
    "file limit": file_limit,
    "read-only meanwhile": read_only_meanwhile,
    "kill a worker": kill_worker,
}


def why_not(kind: str) -> str:
    """Why this kind of fault cannot be had here; empty where it can."""
    if kind in ("full disk", "read-only") and not can_mount():
        return "no right to mount a disk in a namespace of one's own (unshare -Urm)"
    if kind == "clock" and not faketime():
        return "no libfaketime: on Debian, apt-get install libfaketime"
    if kind == "read-only meanwhile" and os.geteuid() == 0 and shutil.which("setpriv") is None:
        return "root writes everywhere, and there is no setpriv to give that up"
    return ""


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def _allow(folder: Path, mode: int) -> None:
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(mode)


def _size(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*"))


def _workers(scene: Scene, process: "subprocess.Popen[bytes]") -> list[int]:
    """Beam's worker processes, once there are some: each job has its own, and none is there between two jobs."""
    while process.poll() is None:
        if workers := [pid for pid in scene.children() if _is_worker(pid)]:
            return workers
        time.sleep(0.05)
    return []


def _is_worker(pid: int) -> bool:
    """Whether it is a worker process of Beam's, not the shell before it."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"sdk_worker" in command and command.startswith(os.fsencode(sys.executable))


def _count(scene: Scene) -> int:
    return int(scene.config.model_dump()["source"]["count"])

"""A lake in a folder of its own, the commands that work on it, and what must hold of it in the end."""

import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from chaos.endpoint import Endpoint
from runs import check_nothing_lost, files, hashes, records

from gog.pipelines.config.config import Config, parse_config
from gog.pipelines.lake.lake import Lake, LakeError
from gog.pipelines.views.database import build_views
from gog.transforms.services.store.schema import FILE

IN_FLIGHT: Final = 16
"""Calls that a process may have in flight to the endpoint."""
LIMIT_S: Final = 900.0
"""A command that takes longer hangs."""
LATE: Final = ("curate", "export_sft", "label", "export_rl")
GOG: Final = [sys.executable, "-m", "gog.pipelines.cli.main"]
MARK: Final = "GOG_CHAOS_SCENE"


def small(lake: Path, world: int, seeds: int, models: Mapping[str, str], run: str = "chaos") -> Config:
    """The bundled world, few attempts a seed; patience for an endpoint that misbehaves."""
    host = models["teacher"].removeprefix("http://").partition("/")[0]
    values: dict[str, Any] = {
        "run": run,
        "lake": str(lake),
        "seed": world,
        "shard_size": max(1, seeds // 2),
        "source": {"kind": "atlas", "count": seeds},
        "detector": "segments:",
        "text_search": "corpus:atlas",
        "image_search": "gallery:atlas",
        "screen": {"passes": 1},
        "synthesize": {"rollouts": 1, "composed": 1},
        "curate": {"balance": {"shares": {}}, "splits": {"rl_share": 0.3, "validation_share": 0.2}},
        "label": {"k": 1},
        "retry": {"attempts": 8, "initial_s": 0.05, "timeout_s": 30},
        "limits": {host: {"in_flight": IN_FLIGHT}},
    }
    return parse_config(values | dict(models))


@dataclass(frozen=True)
class Reference:
    """What an undisturbed run made: hashes of its files, the requests that it sent, its lake, how long it took."""

    lake: Path
    records: dict[str, str]
    keys: frozenset[str]
    seconds: float
    size: int
    """Bytes of its lake."""


@dataclass(frozen=True)
class Moment:
    """When something happens: after so many requests, once a step has left a file, or after seconds; and a delay."""

    requests: int = 0
    step: str = ""
    delay_s: float = 0.0


def moment(rng: random.Random, reference: Reference) -> Moment:
    """A moment anywhere in a run."""
    kind = rng.choices(("start", "requests", "step"), (2, 5, 3))[0]
    if kind == "start":
        return Moment(delay_s=rng.uniform(1.0, 6.0))
    if kind == "requests":
        return Moment(requests=rng.randint(1, len(reference.keys)), delay_s=rng.uniform(0, 0.2))
    return Moment(step=rng.choice(("ingest", "synthesize", *LATE)), delay_s=rng.uniform(0, 0.6))


@dataclass
class Scene:
    """A run that is disturbed. `problems` are what should not be."""

    folder: Path
    config: Config
    endpoint: Endpoint
    reference: Reference
    rng: random.Random
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    in_flight: list[int] = field(default_factory=list)
    """Calls that were made and not kept, after each process that ended before its work."""
    together: bool = False
    """Whether processes of several runs are at work at the same time, and may ask the same at the same time."""
    struck: int = 0

    @property
    def lake(self) -> Path:
        return Path(self.config.lake)

    def start(
        self,
        *,
        config: Config | None = None,
        wrapped: Sequence[str] = (),
        beam: Sequence[str] = (),
        file_limit: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> "subprocess.Popen[bytes]":
        """`gog run` in a process of its own; what it prints goes into files."""
        chosen = config or self.config
        path = self.folder / f"{chosen.run}.yaml"
        path.write_text(yaml.safe_dump(chosen.model_dump(mode="json")), "utf-8")
        command = [*wrapped, *GOG, "run", "--config", str(path), *(["--", *beam] if beam else [])]
        number = len(self.processes)
        limit = None if file_limit is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit,) * 2)
        with (self.folder / f"out.{number}").open("wb") as out, (self.folder / f"err.{number}").open("wb") as err:
            process = subprocess.Popen(
                command,
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
                env=os.environ | {MARK: str(self.folder)} | dict(environment or {}),
                preexec_fn=limit,  # no thread of this process holds what it needs
            )
        self.processes.append(process)
        return process

    def reach(self, at: Moment, process: "subprocess.Popen[bytes]") -> bool:
        """Wait for a moment; False where the process ended before."""
        before, deadline = len(self.endpoint.asked), time.monotonic() + LIMIT_S
        while time.monotonic() < deadline and process.poll() is None:
            there = not at.step or any((self.lake / "runs" / self.config.run).glob(f"funnel/part-{at.step}-*"))
            if there and len(self.endpoint.asked) - before >= at.requests:
                time.sleep(at.delay_s)
                return process.poll() is None
            time.sleep(0.01)
        return False

    def wait(self, process: "subprocess.Popen[bytes]", *codes: int, said: str = "", loud: bool = False) -> int:
        """The exit code, which must be one of these; `said` must stand in the line of a failure, the last of several
        where the workers of a run are `loud`.
        """
        try:
            code = process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
            self.problems.append(f"hung for {LIMIT_S:.0f} s")
        if code != 0:
            self.in_flight.append(self.asked() - self.kept())
        number = self.processes.index(process)
        told = (self.folder / f"err.{number}").read_text("utf-8", "replace")
        printed = told + (self.folder / f"out.{number}").read_text("utf-8", "replace")
        # Progress, which begins with seconds, does not count.
        lines = [line for line in told.splitlines() if line.strip() and " | " not in line]
        if code not in codes:
            self.problems.append(f"exit code {code}, not {' or '.join(map(str, codes))}: {' / '.join(lines)[-400:]}")
        elif "Traceback" in printed or "bug in gog" in printed:
            self.problems.append(f"a traceback: {lines[-2:]}")
        elif code > 0 and (not lines or said not in lines[-1] or not (loud or len(lines) == 1)):
            self.problems.append(f"not one line with {said!r}: {lines[:6]}")
        elif code <= 0 and lines and not loud:
            self.problems.append(f"said {lines[:4]}")
        return code

    def strike(self, process: "subprocess.Popen[bytes]", signum: int) -> None:
        """Send a signal."""
        self.struck += 1
        process.send_signal(signum)

    def finish(self) -> None:
        """The same command without a fault, to the end."""
        self.wait(self.start(), 0)

    def children(self) -> list[int]:
        """Processes that this scene started, or that were started by those, and that live."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and f"{MARK}={self.folder}\0".encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    @property
    def repeated(self) -> "Counter[str]":
        """How often each call came again, but for those that were lied to."""
        asked = Counter(asked.key for asked in self.endpoint.asked if not asked.lied)
        return Counter({key: count - 1 for key, count in asked.items() if count > 1})

    def asked(self) -> int:
        """How many calls were made so far, but for those that got lies alone."""
        return len({asked.key for asked in self.endpoint.asked if not asked.lied})

    def kept(self) -> int:
        """How many answers of models are in the store."""
        # A copy is looked at: whoever opens the store after a kill clears up behind it.
        copy = self.folder / "looked-at"
        shutil.rmtree(copy, ignore_errors=True)
        if not (self.lake / "store" / FILE).exists():
            return 0
        shutil.copytree(self.lake / "store", copy)
        with closing(sqlite3.connect(copy / FILE)) as store:
            if not store.execute("SELECT 1 FROM sqlite_master WHERE name = 'answers'").fetchone():
                return 0
            ((count,),) = store.execute("SELECT count(*) FROM answers WHERE kind = 'chat' AND failure IS NULL")
            return int(count)

    def check(self, *configs: Config) -> bool:
        """Look at what is there in the end; returns whether tables and exports are those of the undisturbed run."""
        if left := self.children():
            self.problems.append(f"processes are left: {left}")
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        equal = True
        for config in configs or (self.config,):
            made = {name: digest for name, digest in records(config).items() if not name.startswith(".views-")}
            if made != self.reference.records:
                equal = False
                names = sorted({name for name, _ in set(made.items()) ^ set(self.reference.records.items())})
                self.problems.append(f"{len(names)} files of {config.run} differ: {', '.join(names[:6])}")
            try:
                check_nothing_lost(config, rows=int(config.model_dump()["source"]["count"]))
            except Exception as error:  # a table that cannot be read is a finding, too
                self.problems.append(f"lost: {error}"[:300])
        self._check_calls()
        self._check_left(configs or (self.config,))
        return equal

    def _check_calls(self) -> None:
        if wrong := {a.key for a in self.endpoint.asked} ^ self.reference.keys:
            self.problems.append(f"{len(wrong)} requests are not those of the undisturbed run")
        if (more := [count for count in self.in_flight if count > IN_FLIGHT]) and not self.together:
            self.problems.append(f"{more} calls in flight at an end, of {IN_FLIGHT}")
        if (repeated := self.repeated.total()) > sum(self.in_flight) and not self.together:
            self.problems.append(f"{repeated} calls repeated, {self.in_flight} in flight")

    def _check_left(self, configs: Sequence[Config]) -> None:
        """Nothing half written stays. What may be another writer's goes once it is old: it is made old."""
        for path in self.lake.rglob("*"):
            if "/." in f"/{path.relative_to(self.lake)}" or _is_half(path):
                os.utime(path, (0, 0))
        for config in configs:
            try:
                with Lake(self.lake).lock(config.run):
                    pass
            except LakeError as error:
                self.problems.append(f"locked: {error}")
            build_views(self.lake / "runs" / config.run)
        names = files(self.lake, but=("runs/*/exports/.*.json", "indexes/*/.*"))
        left = [name for name in names if _is_half(Path(name)) or "/." in f"/{name}"]
        if left:
            self.problems.append(f"left behind: {left[:5]}")
        with closing(sqlite3.connect(self.lake / "store" / FILE)) as store:
            if (sound := store.execute("PRAGMA integrity_check").fetchall()) != [("ok",)]:
                self.problems.append(f"the store is damaged: {sound[:3]}")
        pictures = hashes(self.lake / "images", but=(".passing/*",))
        if wrong := [name for name, digest in pictures.items() if Path(name).stem != digest]:
            self.problems.append(f"pictures are not what their names say: {wrong[:3]}")


def _is_half(path: Path) -> bool:
    return path.name.endswith(".tmp")

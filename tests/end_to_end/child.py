"""A run in a process of its own that notes each call as it begins and ends, and kills itself where it is told.

    python child.py CONFIG LOG [STEP POINT DELAY]

What is noted: `begin KEY` before a request is made, `end KEY` once its answer is kept; a kill leaves these lines in
the file. With a STEP, the process sends itself SIGKILL some seconds (DELAY) after the POINT-th thing that it did in
that step: a call that began or ended, or a file that was opened for writing or renamed. A later step counts as well,
where that one has nothing left to do.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from gog.pipelines.config.config import load_config
from gog.pipelines.steps.run import run
from gog.transforms.services.gateway.gateway import Gateway

RANK = {"ingest": 0, "synthesize": 0, "curate": 1, "export_sft": 2, "label": 3, "export_rl": 4}


class Killer:
    """Sends SIGKILL at a point of a step."""

    def __init__(self, step: str, point: int, delay: float) -> None:
        self.wanted, self.point, self.delay = step, point, delay
        self.step, self.count, self.armed = "", 0, True

    def enter(self, step: str, shard: int, shards: int) -> None:
        """A step begins a shard."""
        self.step = step
        if RANK[step] > RANK[self.wanted]:
            self.fire()

    def passed(self) -> None:
        """Something was done."""
        if self.step == self.wanted:
            self.count += 1
            if self.count >= self.point:
                self.fire()

    def fire(self) -> None:
        """Kill, soon; the process goes on meanwhile."""
        if self.armed:
            self.armed = False
            threading.Thread(target=self._kill, daemon=True).start()

    def _kill(self) -> None:
        time.sleep(self.delay)
        os.kill(os.getpid(), signal.SIGKILL)


def watch_files(killer: Killer) -> None:
    """Count files that are written."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "os.rename" or (event == "open" and isinstance(arguments[1], str) and arguments[1][:1] in "wx"):
            killer.passed()

    sys.addaudithook(hook)


def watch_calls(log: int, killer: Killer | None) -> None:
    """Note calls."""
    fetch = Gateway._fetch

    async def noted(self: Gateway, request: Any, trace: Any) -> Any:
        for_killer = killer.passed if killer else lambda: None
        os.write(log, f"\nbegin {request.key}".encode())
        for_killer()
        try:
            return await fetch(self, request, trace)
        finally:
            os.write(log, f"\nend {request.key}".encode())
            for_killer()

    Gateway._fetch = noted  # type: ignore[method-assign]


def main() -> None:
    config, log_path, *moment = sys.argv[1:]
    log = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, b"\nstart")
    killer = Killer(moment[0], int(moment[1]), float(moment[2])) if moment else None
    watch_calls(log, killer)
    if killer is None:
        run(load_config(Path(config)))
    else:
        watch_files(killer)
        run(load_config(Path(config)), on_shard=killer.enter)


if __name__ == "__main__":
    main()

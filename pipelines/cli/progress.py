"""Progress of long work: a live line on a terminal, a plain line every ten seconds without one."""

import threading
import time
from typing import Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from gog.pipelines.config.config import Config
from gog.transforms.services.loop import peek

PLAIN_EVERY = 10.0
LIVE_EVERY = 0.25


class _Shown:
    """Shows `line()` while work goes on, unless it is empty."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._started = stream, time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._show, name="gog-progress", daemon=True)

    def line(self) -> str:
        """The line as it is now."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Start showing."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop showing."""
        self._stop.set()
        self._thread.join(timeout=5)

    def _show(self) -> None:
        if not self._stream.isatty():
            while not self._stop.wait(PLAIN_EVERY):
                if line := self.line():
                    print(line, file=self._stream, flush=True)
            return
        with Live(console=Console(file=self._stream), refresh_per_second=4, transient=True) as live:
            while not self._stop.wait(LIVE_EVERY):
                live.update(Text(self.line()))


class Progress(_Shown):
    """Where a run is: step, shard, calls made and answered from the store, what is in flight, the cost."""

    def __init__(self, config: Config, stream: TextIO) -> None:
        """Nothing is shown before the first shard begins."""
        super().__init__(stream)
        self._key = ("services", config.model_dump_json())
        self._step, self._done, self._shards = "", 0, 0

    def shard(self, step: str, done: int, shards: int) -> None:
        """Told of each shard before it starts."""
        self._step, self._done, self._shards = step, done, shards

    def line(self) -> str:
        """The line as it is now."""
        if not self._step:
            return ""
        services = peek(self._key)
        parts = [f"{time.monotonic() - self._started:6.0f} s", f"{self._step} {self._done + 1}/{self._shards}"]
        if services is not None:
            stats = services.gateway.statistics
            answered = stats.calls + stats.from_store
            rate = answered / max(0.001, time.monotonic() - self._started)
            parts += [f"{stats.calls:,} calls", f"{stats.from_store:,} from store", f"{stats.in_flight} in flight"]
            parts += [f"{rate:,.0f}/s", f"${stats.cost:,.2f}"]
            failed = sum(stats.failures.values())
            if failed:
                parts.append(f"{failed:,} failed")
        return " | ".join(parts)


class AnswerCount(_Shown):
    """How many answers there are, how fast they come, and how many could not be had."""

    def __init__(self, what: str, total: int, stream: TextIO) -> None:
        """`what` begins the line; `total` is how many answers there will be."""
        super().__init__(stream)
        self._what, self._total = what, total
        self._before: int | None = None
        self._done = self._failed = 0

    def told(self, done: int, failed: int) -> None:
        """Hear how many answers there are, and how many of the new ones failed."""
        self._before = done - 1 if self._before is None else self._before
        self._done, self._failed = done, failed

    def line(self) -> str:
        """The line as it is now."""
        if self._before is None:
            return ""
        rate = (self._done - self._before) / max(time.monotonic() - self._started, 1e-3)
        line = f"{self._what}: {self._done:,} of {self._total:,} answers, {rate:,.1f} a second"
        return line + (f", {self._failed:,} failed" if self._failed else "")

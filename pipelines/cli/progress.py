"""Progress of long work: a live line on a terminal, a plain line every ten seconds without one."""

import threading
import time
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from gog.pipelines.config.config import Config
from gog.transforms.services.loop import peek

PLAIN_EVERY = 10.0
LIVE_EVERY = 0.25


class Progress:
    """Shows where a run is: step, shard, calls made and answered from the store, what is in flight, the cost."""

    def __init__(self, config: Config, stream: TextIO) -> None:
        """Nothing is printed before the first shard begins."""
        self._key = ("services", config.model_dump_json())
        self._stream, self._started = stream, time.monotonic()
        self._step, self._done, self._shards = "", 0, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._show, name="gog-progress", daemon=True)

    def shard(self, step: str, done: int, shards: int) -> None:
        """Told of each shard before it starts."""
        self._step, self._done, self._shards = step, done, shards

    def __enter__(self) -> Self:
        """Start showing."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop showing."""
        self._stop.set()
        self._thread.join(timeout=5)

    def line(self) -> str:
        """The line as it is now."""
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

    def _show(self) -> None:
        if not self._stream.isatty():
            while not self._stop.wait(PLAIN_EVERY):
                if self._step:
                    print(self.line(), file=self._stream, flush=True)
            return
        with Live(console=Console(file=self._stream), refresh_per_second=4, transient=True) as live:
            while not self._stop.wait(LIVE_EVERY):
                if self._step:
                    live.update(Text(self.line()))

"""Progress of work that is counted in answers: a live line on a terminal, a plain line every ten seconds without."""

import time
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from gog.pipelines.cli.progress import PLAIN_EVERY


class Counting:
    """Shows how many answers there are, how fast they come, and how many could not be had."""

    def __init__(self, what: str, total: int, stream: TextIO) -> None:
        """`what` begins the line; `total` is how many answers there will be."""
        self._what, self._total, self._stream = what, total, stream
        self._began = self._said = time.monotonic()
        self._before: int | None = None
        self._live = Live(console=Console(file=stream), refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        """Start showing."""
        if self._stream.isatty():
            self._live.start()
        return self

    def told(self, done: int, failed: int) -> None:
        """Hear how many answers there are, and how many of the new ones failed."""
        self._before = done - 1 if self._before is None else self._before
        now = time.monotonic()
        rate = (done - self._before) / max(now - self._began, 1e-3)
        line = f"{self._what}: {done:,} of {self._total:,} answers, {rate:,.1f} a second"
        line += f", {failed:,} failed" if failed else ""
        if self._stream.isatty():
            self._live.update(Text(line))
        elif now - self._said >= PLAIN_EVERY:
            self._said = now
            print(line, file=self._stream, flush=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop showing."""
        if self._stream.isatty():
            self._live.stop()

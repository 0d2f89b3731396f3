"""Progress of long work: a live line on a terminal, a plain line every ten seconds without one."""

import sqlite3
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Final, Self, TextIO

import duckdb
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gog.pipelines.config.config import Config
from gog.pipelines.lake.lake import Lake
from gog.pipelines.show.words import spell
from gog.pipelines.views.status import StepPace, pace_of
from gog.schemas.errors import UserError
from gog.transforms.place import is_remote
from gog.transforms.services.loop import peek
from gog.transforms.services.models.starting import starts

PLAIN_EVERY = 10.0
LIVE_EVERY = 0.25
PACED_EVERY: Final = 10.0
"""Seconds between two looks at how far a step is, where the lake is a folder."""
PACED_EVERY_REMOTE: Final = 60.0
"""The same on an object store, where each look is a few dozen requests."""
SILENT: Final = 60.0
"""Seconds without an answer that are told of."""
BAR: Final = 24
CALLING: Final = ("synthesize", "label")
"""Steps that ask; the others have the processor to themselves."""


class _Shown:
    """Shows `line()` while work goes on, unless it is empty."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._started = stream, time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._show, name="gog-progress", daemon=True)

    def line(self) -> str:
        """The line as it is now."""
        raise NotImplementedError

    def shown(self) -> RenderableType:
        """What a terminal shows now."""
        return Text(self.line(), no_wrap=True, overflow="ellipsis")

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
                live.update(self.shown())


class Progress(_Shown):
    """Where a run is: step, shard, share and time left, calls made and answered from the store, in flight, the cost."""

    def __init__(self, config: Config, stream: TextIO) -> None:
        """Nothing is shown before the first shard begins."""
        super().__init__(stream)
        self._config, self._key = config, ("services", config.model_dump_json())
        self._step, self._done, self._shards = "", 0, 0
        self._pace: StepPace | None = None
        self._paced = 0.0
        self._every = PACED_EVERY_REMOTE if is_remote(config.lake) else PACED_EVERY
        self._back: deque[tuple[float, int]] = deque()

    def shard(self, step: str, done: int, shards: int) -> None:
        """Told of each shard before it starts."""
        self._step, self._done, self._shards = step, done, shards
        self._back.clear()

    def line(self) -> str:
        """The line as it is now."""
        if not self._step:
            return ""
        pace = self._paced_now()
        share = [f"{pace.share:.0%}", f"{spell(pace.left_s)} left"] if pace else []
        where = [f"{time.monotonic() - self._started:6.0f} s", f"{self._step} {self._done + 1}/{self._shards}", *share]
        return " | ".join([*where, *self._counts()])

    def shown(self) -> RenderableType:
        """Two lines for a terminal: how far, and what was asked."""
        if not self._step:
            return Text()
        pace = self._paced_now()
        far = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=1, completed=pace.share if pace else 0, width=BAR)
        left = f"{pace.share:4.0%}  about {spell(pace.left_s)} left" if pace else "too early to say how long"
        if self._step not in CALLING:
            left = spell(time.monotonic() - self._started)
        far.add_row(f"{self._step} {self._done + 1}/{self._shards}", bar, left)
        return Group(far, Text(", ".join(self._counts()), no_wrap=True, overflow="ellipsis"))

    def _counts(self) -> list[str]:
        """What was asked, how fast answers come, and whether they come at all; or which server is not up yet."""
        if waits := starts():
            return [waits]
        services = peek(self._key)
        if services is None:
            return []
        stats = services.gateway.statistics
        counts = [f"{stats.calls:,} calls", f"{stats.from_store:,} from store", f"{stats.in_flight} in flight"]
        rate, silent = self._moving(stats.calls - stats.in_flight + stats.from_store)
        if silent >= SILENT and self._step in CALLING and stats.in_flight:
            return [f"nothing has come back for {spell(silent)}: {stats.in_flight} calls in flight"]
        counts += [f"{rate:,.0f}/s", f"${stats.cost:,.2f}"]
        failed = sum(count for failure, count in stats.failures.items() if not failure.unasked)
        return counts + ([f"{failed:,} failed"] if failed else [])

    def _moving(self, back: int) -> tuple[float, float]:
        """Answers a second over the last minute, and seconds since the last one; `back` is how many came so far."""
        now, seen = time.monotonic(), self._back
        if not seen or seen[-1][1] != back:
            seen.append((now, back))
        while len(seen) > 2 and now - seen[1][0] > SILENT:
            seen.popleft()
        first = seen[0]
        return (back - first[1]) / max(1.0, now - first[0]), now - seen[-1][0]

    def _paced_now(self) -> StepPace | None:
        """How far the step is, looked up now and then; None in a step that has no such measure."""
        if time.monotonic() - self._paced > self._every:
            self._paced = time.monotonic()
            with suppress(UserError, OSError, duckdb.Error, sqlite3.Error):
                self._pace = pace_of(Lake(self._config.lake, create=False), self._config.run)
        phase_one = {"ingest", "synthesize"}
        pace = self._pace
        same = pace is not None and (pace.step == self._step or {pace.step, self._step} <= phase_one)
        return pace if same else None


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
            return starts()
        rate = (self._done - self._before) / max(time.monotonic() - self._started, 1e-3)
        line = f"{self._what}: {self._done:,} of {self._total:,} answers, {rate:,.1f} a second"
        return line + (f", {self._failed:,} failed" if self._failed else "")

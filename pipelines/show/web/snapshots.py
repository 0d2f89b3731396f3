"""Runs as they were when somebody last looked: what came of them, and what a live one is doing."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import duckdb

from gog.pipelines.lake.lake import LakeError, Manifest
from gog.pipelines.lake.one_line import one_line
from gog.pipelines.lake.signature import signature_of
from gog.pipelines.show.web.call_times import MOST_COLUMNS, Pace
from gog.pipelines.show.web.charts import Column
from gog.pipelines.show.web.curves import CURVES, Curves, read_curves
from gog.pipelines.show.web.run_facts import Facts, facts_of
from gog.pipelines.show.web.served_lake import LOOK_EVERY_S, NotThereError, ServedLake
from gog.pipelines.show.words import spell
from gog.pipelines.views.status import MINUTE, Progress, progress_of
from gog.schemas import TABLES
from gog.schemas.rows import SchemaError
from gog.transforms.services.store.records import Tally
from gog.transforms.services.store.schema import StoreError

MOST_SNAPSHOTS: Final = 8
SELDOM: Final = 8
"""A look that took a second is taken again after so many."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run as it was when somebody last looked."""

    run: str
    manifest: Manifest
    state: str
    facts: Facts
    curves: Curves | None
    now: list[str]
    """What a live run is doing, in words."""
    pace: Pace | None
    trouble: str
    """What could not be read, and why; empty where all could."""

    @property
    def live(self) -> bool:
        """Whether it is at work."""
        return self.state == "live"


class _Count(NamedTuple):
    """What a live run had asked, had from the store, and what of it had failed, at a time of the monotonic clock."""

    at: float
    asked: int
    stored: int
    failed: int


@dataclass(slots=True)
class _Known:
    found: Snapshot | Exception
    """Of a look that failed, why: what is damaged is not added up again for each request."""
    signature: int
    look_at: float

    def snapshot(self) -> Snapshot:
        """Raises what the look raised."""
        if isinstance(self.found, Exception):
            raise self.found.with_traceback(None)
        return self.found


class Snapshots:
    """Of the runs of a lake. May be asked from several threads."""

    def __init__(self, lake: ServedLake) -> None:
        self._lake = lake
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._counts: dict[str, deque[_Count]] = {}
        self._looking = threading.Lock()

    def manifest(self, run: str) -> Manifest:
        """The run's manifest. Raises `NotThereError`, and `LakeError` where it is damaged."""
        self._lake.check(run)
        manifest = self._lake.lake.read_manifest(run)
        if manifest is None:
            raise NotThereError(f"the lake has no run {run[:100]!r}")
        return manifest

    def of(self, run: str) -> Snapshot:
        """The run as it is, as fresh as is cheap: what took long to add up is added up more seldom."""
        known = self._known.get(run)
        if known and time.monotonic() < known.look_at:  # needs not wait until another run is added up
            return known.snapshot()
        with self._looking:
            known, began = self._known.get(run), time.monotonic()
            if known and began < known.look_at:
                return known.snapshot()
            manifest, signature = self.manifest(run), self._signature(run)
            state = self._lake.lake.state(manifest)
            last = known.found if known and known.signature == signature else None
            if known and isinstance(last, Snapshot) and last.manifest == manifest and last.state == state != "live":
                known.look_at = began + LOOK_EVERY_S
                return last
            found: Snapshot | Exception
            try:
                found = self._look(manifest, state)
            except (duckdb.Error, LakeError, SchemaError, OSError) as error:
                found = error
            took = time.monotonic() - began
            fresh = _Known(found, signature, time.monotonic() + max(LOOK_EVERY_S, SELDOM * took))
            self._known[run] = fresh
            self._known.move_to_end(run)
            while len(self._known) > MOST_SNAPSHOTS:
                self._counts.pop(self._known.popitem(last=False)[0], None)
            return fresh.snapshot()

    def _look(self, manifest: Manifest, state: str) -> Snapshot:
        lake, run = self._lake.lake, manifest.run
        tallies: list[Tally] | None = None
        now, trouble = list[str](), ""
        if state == "live":
            try:
                seen = progress_of(lake, manifest, live=True)
                tallies = seen.events
                now = _in_words(seen) if manifest.shards else []  # a training has none
            except (StoreError, LakeError, OSError) as error:
                trouble = one_line(error, 300)
        else:
            self._counts.pop(run, None)
        facts = facts_of(lake, run, tallies)
        curves = None
        try:
            curves = read_curves(lake.run_folder(run) / CURVES)
        except OSError as error:
            trouble = one_line(error, 300)
        pace = facts.pace if tallies is None else self._seen(run, tallies)
        return Snapshot(run, manifest, state, facts, curves, now, pace, trouble)

    def _seen(self, run: str, tallies: Sequence[Tally]) -> Pace | None:
        """The pace of a live run between the looks that people took at it; None at the first one."""
        counts = self._counts.setdefault(run, deque(maxlen=MOST_COLUMNS + 1))
        sums = (sum(getattr(tally, name) for tally in tallies) for name in ("events", "from_store", "failed"))
        counts.append(_Count(time.monotonic(), *sums))
        columns = []
        for before, after in pairwise(counts):
            minutes = max(after.at - before.at, 1e-3) / 60
            stored = (after.stored - before.stored) / minutes
            columns.append(
                Column(
                    max(0.0, (after.asked - before.asked) / minutes - stored),
                    max(0.0, stored),
                    max(0.0, (after.failed - before.failed) / minutes),
                )
            )
        whole = counts[-1].at - counts[0].at
        return Pace(columns, whole / len(columns), whole) if columns else None

    def _signature(self, run: str) -> int:
        """A number that changes when a part of the run, or its curves, are written."""
        lake = self._lake.lake
        parts = [part for table in TABLES for part in lake.parts(run, table)]
        return signature_of([*parts, lake.run_folder(run) / CURVES])


def _in_words(seen: Progress) -> list[str]:
    """What a live run is doing, as `gog status` has it."""
    words = [f"{seen.per_minute / MINUTE:,.1f} questions a second in the last minute"]
    if pace := seen.pace:
        step = "ingest and synthesize" if pace.step in ("ingest", "synthesize") else pace.step
        words = [f"{step} {pace.share:.0%} done", f"about {spell(pace.left_s)} to go", *words]
    return words

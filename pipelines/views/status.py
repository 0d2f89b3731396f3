"""Where a run is: read from its manifest, its parts on disk and the store's events, while it is live or afterwards.

Nothing is written, and the run that is watched is not held up. What is in flight has left no part yet, so how far the
shard at work has come is read off the calls that it has made.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gog.pipelines.config.config import Config, ConfigError
from gog.pipelines.config.kept import taken_up
from gog.pipelines.connect.stores import read_store
from gog.pipelines.lake.lake import STEP_TABLES, Lake, Manifest
from gog.pipelines.views.database import open_lake
from gog.pipelines.views.summary import Summary, summarise
from gog.schemas import Screening
from gog.transforms.services.store.records import AnyStore, Spent, Tally

MINUTE: Final = 60.0
PHASE_TWO: Final = ("curate", "export_sft", "label", "export_rl")
RECENT: Final = 3600.0
"""Seconds that a pace is taken of, once its process is older: over days it changes."""
_UNMEASURED: Final = 0.02
"""Share of a step below which an estimate of its end would be a guess."""


@dataclass(frozen=True, slots=True)
class StepState:
    """How far a step is, in shards; curate and the exports work on all of them at once."""

    step: str
    done: int
    of: int


@dataclass(frozen=True, slots=True)
class Status:
    """A run as it is now."""

    run: str
    state: str
    """live, done, stopped (at a ceiling), unfinished (killed or stopped by hand), failed."""
    detail: str
    steps: tuple[StepState, ...]
    kept: int
    calls: int
    from_store: int
    failed: int
    tokens: int
    cost: float
    hours: float
    per_minute: float | None
    """Questions in the last minute, asked or answered from the store; None where the run is not live."""
    step: str
    """The step at work, empty where the run is not live."""
    eta_s: float | None
    """Seconds until it ends (ingest and synthesize together), by its pace; None where that cannot be told yet."""
    summary: Summary


def status_of(lake: Lake, run: str, now: float | None = None) -> Status:
    """The state of a run that has a manifest."""
    manifest = lake.read_manifest(run)
    assert manifest is not None
    state = lake.state(manifest)
    live = state == "live"
    with open_lake(lake.run_folder(run)) as views:
        summary = summarise(views)
        ((kept,),) = views.execute("SELECT count(*) FROM curated").fetchall()
    seen = progress_of(lake, manifest, live=live, now=now, summary=lambda: summary)
    spent = seen.spent
    return Status(
        run=run,
        state=state,
        detail="" if live else manifest.detail,
        steps=seen.steps,
        kept=kept,
        calls=spent.calls,
        from_store=sum(tally.from_store for tally in seen.events),
        failed=sum(tally.failed for tally in seen.events),
        tokens=spent.prompt_tokens + spent.completion_tokens,
        cost=spent.cost,
        hours=spent.hours,
        per_minute=seen.per_minute if live else None,
        step=seen.step,
        eta_s=seen.pace.left_s if seen.pace else None,
        summary=summary,
    )


@dataclass(frozen=True, slots=True)
class StepPace:
    """How far a step is; ingest and synthesize are told together."""

    step: str
    share: float
    """Of its rows, those of earlier processes too."""
    left_s: float
    """Seconds to its end."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, by one reading of its store."""

    steps: tuple[StepState, ...]
    spent: Spent
    events: list[Tally]
    """What it has asked so far."""
    per_minute: float
    """Questions in the last minute, asked or answered from the store, as so many a minute of a younger process."""
    step: str
    """The step at work, empty where the run is not live."""
    pace: StepPace | None
    """How far that step is; None where that cannot be told yet."""


def progress_of(
    lake: Lake,
    manifest: Manifest,
    *,
    live: bool,
    now: float | None = None,
    summary: Callable[[], Summary] | None = None,
) -> Progress:
    """How far a run is. `summary`: what came of it, where that is known. Raises `StoreError` and `LakeError`."""
    now, run = time.time() if now is None else now, manifest.run
    began = (lake.run_folder(run) / "manifest.json").stat().st_mtime
    parts = _Parts(lake, run)
    steps = tuple(_step(parts, manifest, step) for step in STEP_TABLES)
    step = _at_work(parts, steps, began) if live else ""
    spent, events, session, recent, minute = _events(lake, manifest, began, now)
    per_minute = sum(tally.events for tally in minute) * MINUTE / max(1.0, min(MINUTE, now - began))

    def summed() -> Summary:
        with open_lake(lake.run_folder(run)) as views:
            return summarise(views)

    pace = None
    if step:
        with contextlib.suppress(FileNotFoundError):  # a part that was moved meanwhile
            pace = _Pace(lake, manifest, parts, summary or summed, events, session, recent, began, now).eta(step)
    return Progress(steps, spent, events, per_minute, step, pace)


def pace_of(lake: Lake, run: str) -> StepPace | None:
    """How far the step at work is; None where that cannot be told yet. Reads what other processes can see, too."""
    manifest = lake.read_manifest(run)
    return progress_of(lake, manifest, live=True).pace if manifest else None


def _events(
    lake: Lake, manifest: Manifest, began: float, now: float
) -> tuple[Spent, list[Tally], list[Tally], list[Tally], list[Tally]]:
    """What the run has used, and its events: all, since its process began, of the last hour and of the last minute."""
    run = manifest.run
    with _opened(lake, manifest) as store:
        if store is None:
            return Spent(), [], [], [], []
        session = store.tally(run, began)
        recent = store.tally(run, now - RECENT) if now - began > RECENT else session
        return store.spend(run), store.tally(run), session, recent, store.tally(run, max(began, now - MINUTE))


@contextlib.contextmanager
def _opened(lake: Lake, manifest: Manifest) -> Iterator[AnyStore | None]:
    """The run's store, for reading; None where it has none yet, or its config is of another version."""
    try:
        store = read_store(taken_up(manifest.config, lake.root, manifest.run))
    except ConfigError:
        store = None
    with contextlib.closing(store) if store else contextlib.nullcontext():
        yield store


def _step(parts: "_Parts", manifest: Manifest, step: str) -> StepState:
    done = len(parts.done(step))
    if step in {"ingest", "synthesize"}:
        return StepState(step, done, max(done, len(manifest.shards)))
    if step == "label":
        return StepState(step, done, max(done, len(parts.done("synthesize")), 1))
    return StepState(step, min(done, 1), 1)


def _at_work(parts: "_Parts", steps: Sequence[StepState], began: float) -> str:
    """The step that the live run is at: phase one goes through the shards, then phase two through its steps."""
    by_name = {state.step: state for state in steps}
    ingest, synthesize = by_name["ingest"], by_name["synthesize"]
    in_phase_two = any(at >= began for at in parts.done("curate").values())
    if synthesize.done < ingest.done and not in_phase_two:
        return "synthesize"
    if ingest.done < ingest.of and not in_phase_two:
        return "ingest"
    return next((step for step in PHASE_TWO if by_name[step].done < by_name[step].of), "")


class _Parts:
    """The parts of a run as they were when each table was first looked at: a table is listed once."""

    def __init__(self, lake: Lake, run: str) -> None:
        self._lake, self._run = lake, run
        self._listed: dict[str, list[Path]] = {}

    def done(self, step: str) -> dict[int, float]:
        """Shards that a step has finished, and when."""
        written: list[dict[int, float]] = []
        for table in STEP_TABLES[step]:
            written.append({})
            for part in self._of(table):
                if part.name.startswith(f"part-{step}-"):
                    with contextlib.suppress(FileNotFoundError):
                        written[-1][int(part.stem.rsplit("-", 1)[1])] = part.stat().st_mtime
        return {shard: max(at[shard] for at in written) for shard in set.intersection(*map(set, written))}

    def _of(self, table: str) -> list[Path]:
        if table not in self._listed:
            self._listed[table] = self._lake.parts(self._run, table)
        return self._listed[table]


@dataclass(frozen=True, slots=True)
class _Pace:
    """What an estimate of a step's end is made from."""

    lake: Lake
    manifest: Manifest
    parts: _Parts
    summary: Callable[[], Summary]
    all_events: list[Tally]
    session: list[Tally]
    recent: list[Tally]
    began: float
    now: float

    def eta(self, step: str) -> "StepPace | None":
        """How far the step is, and seconds to its end by what was done of it in the last hour, or since it began."""
        try:
            config = taken_up(self.manifest.config, self.lake.root, self.manifest.run)
        except ConfigError:
            return None
        began = self.began
        phase_one = step in {"ingest", "synthesize"}
        done = self.parts.done("synthesize" if phase_one else step)
        if phase_one:
            sizes = {shard: int(str(state.spec.get("rows", 0))) for shard, state in self.manifest.shards.items()}
            # One look of the detector for each hard seed; easy ones are done as soon as they are screened.
            kind, purpose, each = "detect", "propose", 1.0
        elif step == "label":
            sizes = self._pool_sizes()
            began = max([began, *self.parts.done("export_sft").values()])
            kind, purpose, each = "chat", "label", config.label.k * self._turns(config)
        else:
            return None

        def rows(events: Sequence[Tally], since: float) -> float:
            """Done since then: finished shards, or what the calls say where that is more."""
            finished = sum(sizes.get(shard, 0) for shard, at in done.items() if at >= since)
            return max(finished, _asked(events, kind, purpose) / each)

        before = sum(sizes.get(shard, 0) for shard, at in done.items() if at < began)
        total = sum(sizes.values()) - before
        worked = min(rows(self.session, began), total)
        since = max(began, self.now - RECENT)
        lately = min(rows(self.recent, since), worked)
        # A clock that was set back says nothing; a step that rested for an hour is told by all that it did.
        if self.now <= began or not total or worked / total < _UNMEASURED:
            return None
        seconds = (self.now - since) / lately if lately else (self.now - began) / worked
        return StepPace(step, (before + worked) / (before + total), (total - worked) * seconds)

    def _turns(self, config: Config) -> float:
        """Turns of an episode, by those of the teacher."""
        hard = sum(line["entered"] for line in self.summary()["funnel"] if line["stage"] == "propose")
        episodes = hard * config.synthesize.rollouts
        return max(1.0, _asked(self.all_events, "chat", "episode") / episodes) if episodes else 1.0

    def _pool_sizes(self) -> dict[int, int]:
        """Seeds to label, by shard."""
        run = self.manifest.run
        kept = {row["seed_id"] for row in self.lake.read_rows(run, "curated")}
        sizes = {}
        for shard in self.parts.done("synthesize"):
            screened = self.lake.read_table(run, "screenings", Screening, "synthesize", shard)
            sizes[shard] = sum(not s.easy and s.seed_id not in kept for s in screened)
        return sizes


def _asked(events: Sequence[Tally], kind: str, purpose: str) -> int:
    return sum(tally.events for tally in events if (tally.kind, tally.purpose) == (kind, purpose))

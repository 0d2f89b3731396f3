"""Doing again what left for a reason: shards that hold such rejects are forgotten, and the store answers the rest."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from gog.pipelines.config.config import Config
from gog.pipelines.lake.lake import Lake, open_part
from gog.pipelines.steps.context import Context
from gog.transforms.synthesize.services import STOPS

STEPS_AGAIN: Final = ("ingest", "synthesize", "label")
"""Steps whose rejects can come out otherwise the next time; the others decide, and decide the same."""

FAILURES: Final = frozenset(
    {"teacher.failed", "teacher.timeout", "screen.teacher_failed", "search.failed", "verify.unknown"}
)
"""Reasons of units that a service did not answer."""


def stops(config: Config) -> frozenset[str]:
    """Reasons that say nothing of the unit, so that a run always tries them again."""
    return STOPS - {"store.miss"} if config.store.mode == "replay" else STOPS | {"ingest.image_unavailable"}


def reasons_of(lake: Lake, run: str, step: str, shard: int) -> Iterator[tuple[str, str]]:
    """Reason and detail of each reject of a step's shard."""
    path = lake.part_path(run, "rejects", step, shard)
    with open_part(path) as file:
        if file is not None:
            for batch in file.iter_batches(columns=["reason", "detail"]):
                yield from zip(batch["reason"].to_pylist(), batch["detail"].to_pylist(), strict=True)


def count_rejects(lake: Lake, run: str, reasons: Iterable[str], steps: Iterable[str] = STEPS_AGAIN) -> Counter[str]:
    """How many rejects of these reasons the steps have made."""
    wanted = frozenset(reasons)
    found: Counter[str] = Counter(dict.fromkeys(sorted(wanted), 0))
    for step in steps:
        for shard in _shards(lake, run, step):
            found.update(reason for reason, _ in reasons_of(lake, run, step, shard) if reason in wanted)
    return found


def forget_rejected(context: Context, reasons: frozenset[str], steps: Iterable[str] = STEPS_AGAIN) -> list[int]:
    """Forget what must be done again so that the rejects of these reasons can come out otherwise; returns the shards.

    Ingest looks for copies in all shards before, so from the first shard on all are ingested anew.
    """
    forgotten: set[int] = set()
    for step in STEPS_AGAIN:
        if step not in steps:
            continue
        every = _shards(context.lake, context.run, step)
        hit = [s for s in every if any(r in reasons for r, _ in reasons_of(context.lake, context.run, step, s))]
        if hit and step == "ingest":
            hit = [shard for shard in every if shard >= hit[0]]
            context.forget("synthesize", hit)
        if hit:
            context.forget(step, hit)
            context.forget("label", hit)  # whom it labels, and who is solvable, is for the verdicts to say
        forgotten.update(hit)
    return sorted(forgotten)


def _shards(lake: Lake, run: str, step: str) -> list[int]:
    return sorted(int(path.stem.rsplit("-", 1)[1]) for path in lake.parts(run, "rejects", step))

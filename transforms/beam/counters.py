"""Beam counters: what a runner's own page shows of a run at work, under the namespace `gog`.

Of the funnel: `STAGE_entered` and `STAGE_passed` at once, `STAGE_rejected` when a shard is done. Of the calls of a
stage: `STAGE_calls` (attempts made), and likewise `from_store`, `failed` and `failed_CLASS`, `prompt_tokens`,
`completion_tokens`, `micro_dollars`. No name is counted by two steps: Flink makes one vertex of several, and keeps one
number a name at a vertex, that of any of them.

Beam counts on a DoFn's own thread and drops what others count; calls end on the event loop. So an element's calls are
tallied beside it, and the DoFn counts them when it takes the element's outputs.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import Any, Final

from apache_beam.metrics import Metrics

from gog.schemas import Event

NAMESPACE: Final = "gog"

_tally: ContextVar[Counter[str]] = ContextVar("tally")


def begin_tally() -> Counter[str]:
    """A tally of the calls that this asynchronous task, and the tasks it starts, have made from now on."""
    tally: Counter[str] = Counter()
    _tally.set(tally)
    return tally


def tally_call(event: Event) -> None:
    """Add a call to the tally of the task that made it, where there is one; for `Gateway.on_event`."""
    tally = _tally.get(None)
    if tally is None:
        return
    tally["calls"] += event.attempts
    tally["from_store"] += event.from_store
    if event.failure is not None:
        tally["failed"] += 1
        tally[f"failed_{event.failure}"] += 1
    tally["prompt_tokens"] += event.prompt_tokens
    tally["completion_tokens"] += event.completion_tokens
    tally["micro_dollars"] += round(event.cost * 1e6)


def add_counts(counts: Mapping[str, int]) -> None:
    """Add to the counters of the step at work; on the DoFn's thread."""
    for name, number in counts.items():
        if number:
            Metrics.counter(NAMESPACE, name).inc(number)


def totals(result: Any) -> dict[str, int]:
    """What a pipeline's result has counted, by name, over its steps; empty where the runner does not say."""
    counted: Counter[str] = Counter()
    counters: Iterable[Any] = result.metrics().query()["counters"]
    for counter in counters:
        if counter.key.metric.namespace == NAMESPACE:
            # Committed leaves out what failed bundles counted; not every runner knows it.
            counted[counter.key.metric.name] += counter.result or 0
    return dict(sorted(counted.items()))

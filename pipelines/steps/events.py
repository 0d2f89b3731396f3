"""Events of a run: from the store, where they survive a kill, to the lake."""

from itertools import count, islice
from typing import Final

from gog.pipelines.lake.lake import write_part
from gog.pipelines.steps.context import Context
from gog.transforms.services.store.records import AnyStore

ROWS: Final = 10_000
"""Events in a part: what is held in memory."""


def write_events(context: Context, store: AnyStore) -> int:
    """Write the run's events, and return how many there are; they vary from run to run and are in no other table."""
    lake, run = context.lake, context.run
    events = store.events(run)
    old = set(lake.parts(run, "events"))
    written = 0
    for number in count():
        some = list(islice(events, ROWS))
        if number and not some:
            break
        path = lake.part_path(run, "events", "run", number)
        written += write_part(path, "events", some)
        old.discard(path)
    for path in old:
        path.unlink(missing_ok=True)
    return written

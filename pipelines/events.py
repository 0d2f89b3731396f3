"""Events of a run: from the store, where they survive a kill, to the lake."""

from gog.pipelines.context import Context
from gog.pipelines.lake import write_part
from gog.transforms.services.store import Store


def write_events(context: Context, store: Store) -> int:
    """Write the run's events as one part; they vary from run to run and are in no other table."""
    path = context.lake.part_path(context.run, "events", "run", 0)
    return write_part(path, "events", store.events(context.run))

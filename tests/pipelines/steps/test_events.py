"""Events go from the store to the lake in parts of bounded size."""

from pathlib import Path

import pytest

from gog.pipelines.config.config import Config
from gog.pipelines.lake.lake import Lake
from gog.pipelines.steps import events
from gog.pipelines.steps.context import Context
from gog.schemas import Event
from gog.transforms.services.store.sqlite import Store


def event(number: int) -> Event:
    return Event(
        key=f"{number:064x}",
        kind="chat",
        purpose="episode",
        provider="p",
        started=float(number),
        latency_s=0.5,
        attempts=1,
        from_store=False,
    )


def test_every_event_is_in_one_part_and_old_parts_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "ROWS", 2)
    lake = Lake(tmp_path / "lake")
    context = Context(Config(lake=str(lake.root), run="r"), lake)
    for folder, numbers, parts in (("full", range(5), 3), ("even", range(4), 2), ("empty", range(0), 1)):
        with Store(tmp_path / folder) as store:
            store.log("another", event(99))
            for number in numbers:
                store.log("r", event(number))
            store.flush()
            assert events.write_events(context, store) == len(numbers)
        assert list(lake.read_table("r", "events", Event)) == [event(number) for number in numbers]
        assert len(lake.parts("r", "events")) == parts

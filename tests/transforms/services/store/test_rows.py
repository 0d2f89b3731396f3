"""Rows of the store. The hours of a run: spans of calls at once count once, and short gaps between count as work."""

import asyncio
from pathlib import Path

import pytest

from gog.schemas import FailureClass
from gog.transforms.services.store.keys import request_key
from gog.transforms.services.store.records import Entry, Kept, Mode
from gog.transforms.services.store.rows import _IDLE_S, dated_of, entry_row, hours_of
from gog.transforms.services.store.schema import FILE, StoreError
from gog.transforms.services.store.sqlite import Store
from gog.transforms.services.store.upkeep import verify

FAILED = Entry(request_key("asked"), "chat", "m", "p", "asked", Kept(None, FailureClass.REFUSED, ""))


def test_a_damaged_request_names_its_file() -> None:
    row = entry_row(FAILED, 1.5)
    assert dated_of(row, Path("x")).entry == FAILED
    with pytest.raises(StoreError, match="x: a request is damaged: restore a copy"):
        dated_of((*row[:-1], b"\xffnot packed"), Path("x"))


def test_a_lasting_failure_without_words_is_sound(tmp_path: Path) -> None:
    async def keep() -> None:
        with Store(tmp_path, Mode("record")) as store:
            await store.put(FAILED)

    asyncio.run(keep())
    assert list(verify(tmp_path / FILE)) == []


def test_modes_are_named_as_in_the_config() -> None:
    assert list(Mode) == ["live", "record", "replay"]


@pytest.mark.parametrize(
    ("spans", "seconds"),
    [
        ([], 0),
        ([(1e9, 10.0)], 10),
        ([(1e9, 10.0), (1e9 + 2, 3.0)], 10),
        ([(1e9, 10.0), (1e9 + 4, 20.0)], 24),
        ([(1e9, 10.0), (1e9 + 10, 5.0)], 15),
        ([(1e9, 10.0), (1e9 + 10 + _IDLE_S, 5.0)], 15 + _IDLE_S),
        ([(1e9, 10.0), (1e9 + 10 + _IDLE_S + 1, 5.0)], 15),
        ([(1e9, 10.0), (1e9 + 10 + 9 * _IDLE_S, 5.0), (1e9 + 12 + 9 * _IDLE_S, 8.0)], 20),
        ([(1e9, 100.0), (1e9 + 1, 1.0), (1e9 + 99, 2.0)], 101),
    ],
)
def test_hours_are_those_at_work(spans: list[tuple[float, float]], seconds: float) -> None:
    assert hours_of(iter(spans)) * 3600 == pytest.approx(seconds)

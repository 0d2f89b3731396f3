import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from lakes import level_of, make_seed

from gog.pipelines.export.ahead import AT_ONCE, read_ahead
from gog.pipelines.lake.image_files import ImageFiles
from gog.pipelines.lake.lake import LakeError
from gog.schemas import Reject, Split, Unit
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.export.rows import RL_STAGE, ExportSettings, RlRow, rl_row

Readings = list[tuple[str, RlRow | Reject]]


class Store:
    """Reads of pictures whose names begin with `slow` wait for each other; `gone` and `damaged` cannot be had."""

    def __init__(self, together: int = 1) -> None:
        self.together = threading.Barrier(together)
        self.seen: list[str] = []

    def read(self, sha256: str) -> bytes:
        self.seen.append(sha256)
        if sha256.startswith("slow"):
            self.together.wait(20)
        if sha256.startswith("gone"):
            raise KeyError(sha256)
        if sha256.startswith("damaged"):
            raise LakeError(f"{sha256} is damaged")
        return b""

    def has(self, sha256: str) -> bool:
        raise AssertionError(f"{sha256} is read, not asked for")

    def put(self, data: bytes, suffix: str) -> str:
        raise AssertionError("nothing is written")


@pytest.fixture
def row(tmp_path: Path) -> RlRow:
    seed = make_seed(1, ImageFiles(tmp_path))
    made = rl_row(seed, level_of(seed, 1), Split.TRAIN, ExportSettings(), EpisodeSettings())
    assert isinstance(made, RlRow)
    return made


def rows_of(row: RlRow, *pictures: tuple[str, ...]) -> Readings:
    return [(f"{number:03}", replace(row, image_sha256=names)) for number, names in enumerate(pictures)]


def test_readings_come_as_they_are_with_their_pictures_read_once(row: RlRow) -> None:
    left_out = Reject.of(RL_STAGE, Unit.SEED, "b", "export.level", detail="level 2", seed_id="b")
    readings = [*rows_of(row, *[(f"{number}", "twice", "twice") for number in range(100)]), ("b", left_out)]
    store = Store()
    assert list(read_ahead(readings, store)) == readings
    assert sorted(store.seen) == sorted([*map(str, range(100)), *["twice"] * 100])


def test_pictures_of_several_rows_are_read_at_once(row: RlRow) -> None:
    readings = rows_of(row, *[(f"slow{number}",) for number in range(AT_ONCE)])
    assert list(read_ahead(readings, Store(AT_ONCE))) == readings


def test_what_cannot_be_read_is_left_to_its_reader(row: RlRow) -> None:
    readings = rows_of(row, ("gone",), ("damaged",), ("there",))
    assert list(read_ahead(readings, Store())) == readings


def test_no_more_is_held_than_is_read_for(row: RlRow) -> None:
    asked = 0

    def source() -> Iterator[tuple[str, RlRow | Reject]]:
        nonlocal asked
        for reading in rows_of(row, *[(f"{number}",) for number in range(1000)]):
            asked += 1
            yield reading

    ahead = read_ahead(source(), Store())
    for number in range(1, 500):
        next(ahead)
        assert asked <= number + AT_ONCE


def test_a_failing_reader_of_tables_is_heard_at_its_place(row: RlRow) -> None:
    def source() -> Iterator[tuple[str, RlRow | Reject]]:
        yield from rows_of(row, ("a",))
        raise LakeError("the table is torn")

    with pytest.raises(LakeError, match="torn"):
        list(read_ahead(source(), Store()))

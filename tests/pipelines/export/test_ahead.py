import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from lakes import level_of, make_seed

from gog.pipelines.export.ahead import AT_ONCE, fetched, with_pictures
from gog.pipelines.lake.image_files import ImageFiles
from gog.pipelines.lake.lake import LakeError
from gog.schemas import Reject, Split, Unit
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.export.rows import RL_STAGE, ExportSettings, RlRow, rl_row

Readings = list[tuple[str, RlRow | Reject]]


class Store:
    """Asked for pictures whose names begin with `slow`, it waits until so many are asked for; `gone` are not there."""

    def __init__(self, together: int = 1) -> None:
        self.together = threading.Barrier(together)
        self.seen: list[str] = []

    def has(self, sha256: str) -> bool:
        self.seen.append(sha256)
        if sha256.startswith("slow"):
            self.together.wait(20)
        return not sha256.startswith("gone")


@pytest.fixture
def row(tmp_path: Path) -> RlRow:
    seed = make_seed(1, ImageFiles(tmp_path))
    made = rl_row(seed, level_of(seed, 1), Split.TRAIN, ExportSettings(), EpisodeSettings())
    assert isinstance(made, RlRow)
    return made


def rows_of(row: RlRow, *pictures: tuple[str, ...]) -> Readings:
    return [(f"{number:03}", replace(row, image_sha256=names)) for number, names in enumerate(pictures)]


@pytest.mark.parametrize("at_once", [0, 4])
class TestReadings:
    def test_they_come_as_they_are_and_each_picture_of_a_row_is_asked_for_once(self, row: RlRow, at_once: int) -> None:
        left_out = Reject.of(RL_STAGE, Unit.SEED, "b", "export.level", detail="level 2", seed_id="b")
        readings = [*rows_of(row, *[(f"{number}", "twice", "twice") for number in range(100)]), ("b", left_out)]
        store = Store()
        assert list(with_pictures(readings, store.has, at_once)) == readings
        assert sorted(store.seen) == sorted([*map(str, range(100)), *["twice"] * 100])

    def test_a_row_with_a_picture_that_is_not_there_is_a_reject(self, row: RlRow, at_once: int) -> None:
        first, (name, gone), last = with_pictures(rows_of(row, ("a",), ("b", "gone"), ("c",)), Store().has, at_once)
        assert isinstance(first[1], RlRow)
        assert isinstance(last[1], RlRow)
        assert name == "001"
        assert isinstance(gone, Reject)
        assert (gone.reason, gone.id, gone.seed_id) == ("export.image_missing", row.id, row.seed_id)
        assert gone.detail == "the image gone is not in the lake"

    def test_a_failing_reader_of_tables_is_heard_at_its_place(self, row: RlRow, at_once: int) -> None:
        def source() -> Iterator[tuple[str, RlRow | Reject]]:
            yield from rows_of(row, ("a",))
            raise LakeError("the table is torn")

        with pytest.raises(LakeError, match="torn"):
            list(with_pictures(source(), Store().has, at_once))


def test_pictures_of_several_rows_are_asked_for_at_once(row: RlRow) -> None:
    readings = rows_of(row, *[(f"slow{number}",) for number in range(AT_ONCE)])
    assert list(with_pictures(readings, Store(AT_ONCE).has, AT_ONCE)) == readings


def test_no_more_is_held_than_is_asked_for(row: RlRow) -> None:
    asked = 0

    def source() -> Iterator[tuple[str, RlRow | Reject]]:
        nonlocal asked
        for reading in rows_of(row, *[(f"{number}",) for number in range(1000)]):
            asked += 1
            yield reading

    ahead = with_pictures(source(), Store().has, AT_ONCE)
    for number in range(1, 500):
        next(ahead)
        assert asked <= number + AT_ONCE


def test_what_is_fetched_is_there_although_it_is_damaged(tmp_path: Path) -> None:
    images = ImageFiles(tmp_path)
    sha256 = make_seed(1, images).image_sha256
    assert fetched(images, sha256)
    images.path(sha256).write_bytes(b"other")
    assert fetched(images, sha256)
    images.path(sha256).unlink()
    assert not fetched(images, sha256)

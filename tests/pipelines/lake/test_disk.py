import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from gog.pipelines.lake.disk import LakeError, Room, disk_advice
from gog.transforms.place import place


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EDQUOT, "make room"),
        (errno.EROFS, "read-only"),
        (errno.EFBIG, "ulimit -f"),
    ],
)
def test_what_a_library_says_of_the_disk_is_told_as_the_systems_own_error(number: int, said: str) -> None:
    advice = disk_advice(OSError(number, os.strerror(number)))
    assert said in advice
    said_so = f'Could not write file "x": {os.strerror(number)}'
    assert disk_advice(RuntimeError(said_so)) == disk_advice(OSError(said_so)) == advice


def test_what_is_not_the_disks_has_no_advice() -> None:
    assert disk_advice(RuntimeError("Catalog Error: Table with name overview does not exist!")) == ""
    assert disk_advice(OSError(errno.ENOENT, os.strerror(errno.ENOSPC))) == ""


def test_a_disk_that_would_not_take_two_more_shards_ends_a_run_between_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    megabytes = iter([900, 700, 750, 450, 449, 9_000, 6_000])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=next(megabytes) * 1_000_000))
    room = Room(tmp_path)
    for _ in range(3):
        room.check()
    with pytest.raises(LakeError, match=r"450 MB are left of its disk, and 300 went during one shard: make room"):
        room.check()
    Room(tmp_path).check()  # the next run knows of no shard yet
    room = Room(tmp_path)
    for _ in range(2):
        room.check()  # whoever took that, there is enough


def test_of_an_object_stores_room_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", None)
    Room(place("s3://bucket/lake")).check()

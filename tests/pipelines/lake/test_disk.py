import errno
import os

import pytest

from gog.pipelines.lake.disk import disk_advice


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

import errno
import os

import pytest

from gog.pipelines.lake.disk import advice_in, disk_advice


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
    assert advice_in(f'FATAL Error: Could not write file "x": {os.strerror(number)}') == advice


def test_what_is_not_the_disks_has_no_advice() -> None:
    assert advice_in("Catalog Error: Table with name overview does not exist!") == ""

"""An index is written whole or not at all, and what the disk refuses is nobody's wrong use."""

import errno
import os
from pathlib import Path

import pytest

from gog.schemas.errors import UsageError
from gog.transforms.services.search.index_folder import IndexUnwrittenError, building, read_head, write_head


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EFBIG, os.strerror(errno.EFBIG)), "File too large"),
        (OSError("99 requested and 12 written"), "99 requested and 12 written: is the disk full"),
    ],
    ids=["of the system", "of NumPy"],
)
def test_a_disk_that_does_not_take_it_falls_short(tmp_path: Path, error: OSError, said: str) -> None:
    def build() -> None:
        with building(tmp_path / "flags") as fresh:
            (fresh / "part").write_text("half")
            raise error

    with pytest.raises(IndexUnwrittenError, match=said) as raised:
        build()
    assert raised.value.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_index_is_a_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="gog index build") as raised:
        read_head(tmp_path, "gallery")
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("replace", [True, False])
def test_an_index_of_that_name_is_replaced_or_stays(tmp_path: Path, replace: bool) -> None:
    for number in (1, 2):
        with building(tmp_path / "flags", replace=replace) as fresh:
            write_head(fresh, "gallery", {"count": number})
    assert read_head(tmp_path / "flags", "gallery")["count"] == (2 if replace else 1)
    assert [path.name for path in tmp_path.iterdir()] == ["flags"]

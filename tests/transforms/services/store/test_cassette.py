"""Files that are no cassettes: refused in one line, whatever `zipfile` makes of them."""

import io
import zipfile
from pathlib import Path

import pytest

from gog.transforms.services.store.cassette import Cassette
from gog.transforms.services.store.schema import StoreError


def test_a_name_that_is_no_text_is_a_damaged_file(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("\u00e4.json", "{}")
    (tmp_path / "a.zip").write_bytes(out.getvalue().replace("\u00e4".encode(), b"\xff\xff"))
    with pytest.raises(StoreError, match="damaged, or no cassette"):
        Cassette(tmp_path / "a.zip")

"""Files that are no cassettes: refused in one line, whatever `zipfile` makes of them."""

import io
import zipfile
from pathlib import Path

import pytest

from gog.schemas import Hit
from gog.transforms.services.protocols import ToolAnswer, ToolPart
from gog.transforms.services.store.cassette import Cassette, thumbnails
from gog.transforms.services.store.forms import HITS, TOOL_ANSWER
from gog.transforms.services.store.records import Dated, Entry, Kept
from gog.transforms.services.store.schema import StoreError


def test_a_name_that_is_no_text_is_a_damaged_file(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("\u00e4.json", "{}")
    (tmp_path / "a.zip").write_bytes(out.getvalue().replace("\u00e4".encode(), b"\xff\xff"))
    with pytest.raises(StoreError, match="damaged, or no cassette"):
        Cassette(tmp_path / "a.zip")


def test_pictures_of_results_and_of_other_tools_are_named() -> None:
    one, two = "1" * 64, "2" * 64
    hits = HITS.dump_json((Hit(rank=1, title="", url="", thumbnail_sha256=one), Hit(rank=2, title="", url=""))).decode()
    said = TOOL_ANSWER.dump_json(ToolAnswer((ToolPart(text="A harbour."), ToolPart(image=two)))).decode()
    for kind, answer, wanted in [
        ("image_search", hits, {one}),
        ("tool", said, {two}),
        ("tool", "{", set()),
        ("chat", hits, set()),
        ("image_search", None, set()),
    ]:
        entry = Entry("key", kind, "provider", "episode", "{}", Kept(answer))
        assert thumbnails(Dated(entry, 0.0)) == wanted

"""WebDataset tars as pictures and pages; what hostile ones hold is left out, with the reason."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from packed_files import tar
from textures import jpeg, texture

from gog.pipelines.tools import tar_samples
from gog.pipelines.tools.tar_samples import TarSamples
from gog.pipelines.tools.texts import Skipped

PICTURE = jpeg(texture(1, 60, 40), 90)


def told(**said: Any) -> bytes:
    return json.dumps(said).encode()


def read(path: Path) -> tuple[list[tuple[str, str, str]], list[tuple[str, bytes]], Skipped]:
    skipped: Skipped = []
    samples = TarSamples(path, path.name)
    pages = [(page.address, page.title, page.text) for page in samples.pages(skipped)]
    return pages, [(text.address, data) for text, data in samples.pictures()], skipped


def test_a_picture_and_what_is_said_of_it(tmp_path: Path) -> None:
    path = tar(
        tmp_path / "a.tar",
        [
            ("0.jpg", PICTURE),
            ("0.json", told(title="Barn", text="A red barn.", url="https://a/barn", width=60)),
            ("deep/1.png", b"another"),
            ("deep/1.txt", b" A lake. \n"),
            ("2.json", told(title="Mill", caption="It grinds.")),
            ("3.webp", b"alone"),
            ("._3.jpg", b"of a Mac"),
        ],
    )
    pages, pictures, skipped = read(path)
    assert pages == [
        ("https://a/barn", "Barn", "A red barn."),
        ("a.tar/deep/1.png", "", "A lake."),
        ("a.tar/2", "Mill", "It grinds."),
        ("a.tar/3.webp", "", ""),
    ]
    assert pictures == [("https://a/barn", PICTURE), ("a.tar/deep/1.png", b"another"), ("a.tar/3.webp", b"alone")]
    assert skipped == []
    assert TarSamples(path, "a.tar").told({"mill", "barn", "https://b"}) == {"mill", "barn"}


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([("0.jpg", b"x"), ("0.png", b"y")], "it has 2 pictures: which one is meant?"),
        ([("0.txt", b"x"), ("0.caption", b"y")], "it has 2 texts: which one is meant?"),
        ([("0.txt", b"x"), ("0.txt", b"y")], "it has two 'txt'"),
        ([("0.mp3", b"x"), ("0.flac", b"y")], "neither a picture nor a text: mp3, flac"),
        ([("0.jpg", b"x"), *((f"0.{n}", b"") for n in range(60))], "it has more than 50 files"),
        ([("0.json", b"[1]")], "its json is list, no object"),
        ([("0.json", b"{"), ("0.jpg", b"x")], "its json is none: Expecting property name enclosed in double quotes"),
        ([("0.json", b"[" * 200_000)], "its json is nested too deeply"),
        ([("0.json", b'{"title": 5}')], "'title' holds int, not text"),
        ([("0.txt", b"caf\xe9")], "it is not UTF-8 at byte 3"),
        ([("0.txt", b"x" * 2000)], "'0.txt' has 2,000 bytes, limit 1,000"),
        ([("\x1b[2J0.txt", b"x")], "its key is no name"),
    ],
)
def test_what_is_not_understood_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: list[tuple[str, bytes]], why: str
) -> None:
    if "limit" in why:
        monkeypatch.setattr(tar_samples, "MAX_TEXT", 1000)
    path = tar(tmp_path / "a.tar", [*members, ("good.jpg", PICTURE), ("good.txt", b"Good.")])
    pages, pictures, skipped = read(path)
    assert pages == [("a.tar/good.jpg", "", "Good.")]
    assert pictures == [("a.tar/good.jpg", PICTURE)]
    assert [reason for _, reason in skipped] == [why]


def test_a_key_that_stands_there_again_is_left_out(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", [("0.txt", b"First."), ("1.txt", b"Other."), ("0.txt", b"Again.")])
    pages, _, skipped = read(path)
    assert [text for *_, text in pages] == ["First.", "Other."]
    assert skipped == [("a.tar/0", "its key stands there already")]


def test_links_and_devices_are_no_members(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as out:
        for name, kind in (("0.txt", tarfile.SYMTYPE), ("1.txt", tarfile.LNKTYPE), ("2.txt", tarfile.CHRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            out.addfile(info)
    assert read(path) == ([], [], [])


def test_a_picture_that_is_too_large_is_never_read(tmp_path: Path) -> None:
    path, limit = tmp_path / "a.tar", TarSamples(tmp_path, "").pictures.__self__._limits.max_bytes  # type: ignore[attr-defined]
    with path.open("wb") as file:
        info = tarfile.TarInfo("0.jpg")
        info.size = limit + 1
        file.write(info.tobuf())
        file.truncate(512 + limit + 1 + 10_240)
    pages, pictures, skipped = read(path)
    assert (pages, pictures) == ([], [])
    assert [why for _, why in skipped] == [f"the picture has {limit + 1:,} bytes, limit {limit:,}"]


def _long_header(path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2 << 20
    with path.open("wb") as file:
        file.write(info.tobuf())
        file.truncate(4 << 20)


def _headers_behind_headers(path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2
    path.write_bytes((info.tobuf() + b"a\0".ljust(512, b"\0")) * 5000)


def _cut(path: Path) -> None:
    tar(path, [("0.jpg", PICTURE * 100)])
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize("make", [_long_header, _headers_behind_headers, _cut])
def test_a_tar_that_is_made_to_break_its_reader_is_told(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "a.tar")
    pages, pictures, skipped = read(tmp_path / "a.tar")
    assert (pages, pictures) == ([], [])
    ((where, why),) = skipped
    assert where == "a.tar"
    assert why.startswith("the rest of it cannot be read: ")

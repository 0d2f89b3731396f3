"""An index is written whole or not at all, and what the disk refuses is nobody's wrong use."""

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.schemas.errors import UsageError
from gog.transforms.services.search.corpus import Corpus, build_corpus
from gog.transforms.services.search.index_folder import (
    IndexFolderError,
    IndexUnwrittenError,
    building,
    clean,
    opened,
    read_head,
    write_head,
)


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


def test_who_has_an_index_open_goes_on_with_it_when_it_is_replaced(tmp_path: Path) -> None:
    build_corpus([("https://a", "Owls", "Owls hunt at night."), ("https://b", "Bees", "Bees dance.")], tmp_path / "c")
    corpus = Corpus.open(tmp_path / "c")
    build_corpus([("https://c", "A long tale", "Ravens " * 300 + "fly.")], tmp_path / "c")
    assert {hit.url for hit in asyncio.run(corpus.search("bees owls", 5))} == {"https://a", "https://b"}
    assert asyncio.run(Corpus.open(tmp_path / "c").search("ravens", 5))[0].url == "https://c"


def test_an_index_that_is_replaced_while_it_is_opened_is_opened_again(tmp_path: Path) -> None:
    heads = []

    def build(version: int) -> None:
        with building(tmp_path / "c") as fresh:
            write_head(fresh, "corpus", {"version": version})

    def make(head: dict[str, Any]) -> int:
        heads.append(head["version"])
        if head["version"] == 1:
            build(2)
            raise ValueError("files of two versions")
        if head["version"] == 2:
            build(3)
        return int(head["version"])

    build(1)
    assert opened(tmp_path / "c", "corpus", make) == 3
    assert heads == [1, 2, 3]

    def endless(head: dict[str, Any]) -> None:
        build(head["version"] + 1)

    with pytest.raises(IndexFolderError, match="over and over"):
        opened(tmp_path / "c", "corpus", endless)


@given(st.text(st.characters(codec=None) | st.sampled_from(" \n\x00\x85\xa0\u2028\u3000\ud800")), st.integers(1, 30))
def test_a_cleaned_text_is_its_printable_words_on_one_line(text: str, limit: int) -> None:
    cleaned = clean(text, limit)
    assert cleaned.isprintable()
    assert len(cleaned) <= limit
    shown = text[: 4 * limit].encode("utf-8", "replace").decode()
    assert cleaned == " ".join("".join(ch if ch.isprintable() else " " for ch in shown).split())[:limit]

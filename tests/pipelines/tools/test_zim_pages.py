"""ZIM files, made by libzim's own writer, as pages."""

from pathlib import Path

import pytest
from packed_files import article, zim

from gog.pipelines.tools import zim_entries, zim_pages
from gog.pipelines.tools.texts import Skipped
from gog.pipelines.tools.zim_pages import ZimPages
from gog.transforms.services.protocols import ServiceError
from gog.transforms.sources.formats import SourceError

pytest.importorskip("libzim", reason="the extra zim is not installed")

BERGEN = "Bergen is a city in Norway, between seven hills. Its harbour has a row of old houses that merchants built."
LAKE = "The lake freezes from the top. In winter people walk over it, and in summer they swim there in the evening."


@pytest.fixture
def wiki(tmp_path: Path) -> Path:
    return zim(
        tmp_path / "wiki.zim",
        [
            ("Bergen", "Bergen", article("Bergen", BERGEN), "text/html"),
            ("Lake_A/B", "Lake A/B", article("Lake A/B", LAKE), "text/html; charset=utf-8"),
            ("Nothing", "Nothing", "<html></html>", "text/html"),
            ("style.css", "", "body {}", "text/css"),
        ],
    )


def read(path: Path) -> tuple[list[tuple[str, str, str]], Skipped]:
    skipped: Skipped = []
    found = ZimPages(path, path.name).pages(skipped)
    return [(page.address, page.title, page.text) for page in found], skipped


def test_articles_are_pages_under_their_addresses(wiki: Path) -> None:
    pages, skipped = read(wiki)
    assert [(url, title) for url, title, _ in pages] == [
        ("https://en.wikipedia.org/wiki/Bergen", "Bergen"),
        ("https://en.wikipedia.org/wiki/Lake_A/B", "Lake A/B"),
    ]
    assert [told in text for told, (*_, text) in zip((BERGEN, LAKE), pages, strict=True)] == [True, True]
    assert ("wiki.zim/Nothing", "it has no text") in skipped
    assert "redirects and" in dict(skipped)["wiki.zim"]
    assert ZimPages(wiki, "wiki.zim").told({"bergen", "oslo"}) == {"bergen"}
    assert list(ZimPages(wiki, "wiki.zim").pictures()) == []


def test_a_source_that_is_no_wiki_gives_no_address(tmp_path: Path) -> None:
    page = ("Bergen", "Bergen", article("Bergen", BERGEN), "text/html")
    for number, source in enumerate(("example.org/evil", "https://en.wikipedia.org", "", "x" * 5000)):
        pages, _ = read(zim(tmp_path / f"{number}.zim", [page], source))
        assert [url for url, *_ in pages] == [f"{number}.zim/Bergen"]


def test_an_entry_that_breaks_its_reader_is_left_out_alone(wiki: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = read(wiki)
    asked = ZimPages._asked

    def broken(self: ZimPages, first: int, titles: bool, most: int) -> object:
        if first <= 1 < first + most:
            raise ServiceError("bad_request", "the file makes its reader crash (SIGSEGV)")  # type: ignore[arg-type]
        return asked(self, first, titles, most)

    monkeypatch.setattr(ZimPages, "_asked", broken)
    pages, skipped = read(wiki)
    assert pages == whole[:1]
    assert ("wiki.zim#1", "the file makes its reader crash (SIGSEGV)") in skipped


@pytest.mark.parametrize("cut", [10, 200, -200])
def test_a_damaged_file_is_told(wiki: Path, cut: int) -> None:
    wiki.write_bytes(wiki.read_bytes()[:cut])
    pages, skipped = read(wiki)
    assert pages == []
    ((where, why),) = skipped
    assert where == "wiki.zim"
    assert why.startswith("the rest of it cannot be read: the file ")


def test_a_page_without_end_is_cut(tmp_path: Path) -> None:
    long = article("Long", BERGEN) + "<p>" + "x" * zim_entries.MAX_PAGE
    _, skipped = read(zim(tmp_path / "a.zim", [("Long", "Long", long, "text/html")]))
    assert any("the rest of it" in why for _, why in skipped)


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zim_pages, "find_spec", lambda name: None)
    with pytest.raises(SourceError, match=r"libzim, which is not installed: pip install .*\[zim\]"):
        ZimPages(tmp_path / "a.zim", "a.zim")

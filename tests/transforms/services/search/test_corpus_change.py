"""Pages come to a corpus and leave it: what is found is what a build of the same pages finds."""

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_encoders import text_encoder

from gog.transforms.services.search import vector_cells
from gog.transforms.services.search.corpus import Corpus, build_corpus
from gog.transforms.services.search.corpus_change import add_pages, addresses_in, remove_pages, told_in
from gog.transforms.services.search.encoders_of import NamedEncoder, open_encoder
from gog.transforms.services.search.index_folder import IndexFolderError, IndexUnwrittenError, held
from gog.transforms.services.search.passage_blocks import Block, Page, count, to_encode

WORDS = ["cat", "tower", "bread", "lake", "กขค", "東京", "Bergen", "hound"]
QUERIES = [*WORDS, "cat tower", "the bread of Bergen", "nothing", "กข"]
PAGES = st.lists(
    st.tuples(
        st.sampled_from([f"https://a/{n}" for n in range(6)]),
        st.sampled_from(WORDS),
        st.lists(st.sampled_from([*WORDS, "\n\n# Heading\n\n", ". "]), max_size=12).map(" ".join),
    ),
    max_size=8,
)
CHANGES = st.lists(PAGES | st.frozensets(st.sampled_from([f"https://a/{n}" for n in range(6)])), max_size=4)


@pytest.fixture(scope="module")
def reads(tmp_path_factory: pytest.TempPathFactory) -> NamedEncoder:
    pytest.importorskip("onnxruntime")
    return open_encoder(f"onnx:{text_encoder(tmp_path_factory.mktemp('reads'))}")


def found(folder: Path, queries: Iterable[str] = QUERIES) -> list[list[tuple[str, str, float | None, str]]]:
    corpus = Corpus.open(folder)
    hits = [asyncio.run(corpus.search(query, 4)) for query in queries]
    return [[(hit.url, hit.title, hit.score, hit.snippet) for hit in some] for some in hits]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def said(pages: list[Page], *, encoded: bool) -> tuple[bytes, list[tuple[str, str]]]:
    """All that an index has of pages."""
    block = Block(0, pages)
    return count(block, encoded).lines, list(to_encode(block)) if encoded else []


def is_bare(pages: list[Page]) -> bool:
    lines = map(json.loads, said(pages, encoded=False)[0].splitlines())
    return all(line["text"] == line["title"] for line in lines)


def after(pages: list[Page], change: Any, *, encoded: bool) -> list[Page]:
    """What is in the index by then, in its order: what is added stands at the end, unless it says nothing new."""
    if isinstance(change, frozenset):
        return [page for page in pages if page[0] not in change]
    kept, come = list(pages), list(change)
    for address in dict.fromkeys(page[0] for page in change):
        old, new = ([page for page in some if page[0] == address] for some in (pages, change))
        same = said(old, encoded=encoded) == said(new, encoded=encoded)
        if old and (same or (is_bare(new) and not is_bare(old))):
            come = [page for page in come if page[0] != address]
        else:
            kept = [page for page in kept if page[0] != address]
    return kept + come


def check(folder: Path, pages: list[Page], changes: list[Any], encoder: NamedEncoder | None) -> None:
    build_corpus(pages, folder / "corpus", name="c", encoder=encoder)
    left = False
    for change in changes:
        if isinstance(change, frozenset):
            remove_pages(folder / "corpus", change)
            left = True
        else:
            left = left or any(page[0] in {address for address, _, _ in change} for page in pages)
            add_pages(folder / "corpus", change)
            again = content(folder / "corpus")
            add_pages(folder / "corpus", change)
            assert content(folder / "corpus") == again, "the same again changes nothing"
        pages = after(pages, change, encoded=encoder is not None)
    built = folder / "built" / "corpus"
    build_corpus(pages, built, name="c", encoder=encoder)
    one, other = content(folder / "corpus"), content(built)
    assert found(folder / "corpus") == found(built)
    assert one["index.json"] == other["index.json"]
    if not left:
        assert one == other
    assert one.keys() == other.keys()
    assert sorted(path.name for path in folder.iterdir()) == ["built", "corpus"]


slow = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@slow
@given(PAGES, CHANGES)
def test_what_is_found_is_what_a_build_finds(
    tmp_path_factory: pytest.TempPathFactory, pages: list[Page], changes: list[Any]
) -> None:
    check(tmp_path_factory.mktemp("words"), pages, changes, None)


@slow
@given(PAGES, CHANGES)
def test_it_is_by_meaning_too(
    tmp_path_factory: pytest.TempPathFactory, reads: NamedEncoder, pages: list[Page], changes: list[Any]
) -> None:
    check(tmp_path_factory.mktemp("meaning"), pages, changes, reads)


def numbered(numbers: Iterable[int]) -> list[Page]:
    return [(f"https://a/{n}", f"Title {n}", f"{WORDS[n % len(WORDS)]} number{n} and word{n}.") for n in numbers]


def test_what_was_there_is_not_encoded_again_and_stays_in_its_cell(
    tmp_path: Path, reads: NamedEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("faiss")
    monkeypatch.setattr(vector_cells, "EXACT", 3)
    build_corpus(numbered(range(5)), tmp_path / "corpus", encoder=reads)
    asked: list[int] = []
    texts = type(reads.encoder).texts

    async def counted(self: Any, some: list[str], *, asks: bool) -> Any:
        asked.append(len(some))
        return await texts(self, some, asks=asks)

    monkeypatch.setattr(type(reads.encoder), "texts", counted)
    added = add_pages(tmp_path / "corpus", numbered(range(3, 7)))
    assert (added.new, added.changed, added.same, added.total, asked) == (2, 0, 2, 7, [2])
    assert added.cells is not None
    assert remove_pages(tmp_path / "corpus", {"https://a/0", "https://b"}) == 1
    assert asked == [2]
    pages = json.loads((tmp_path / "corpus" / "index.json").read_text())
    assert (pages["pages"], pages["approximate"]["learnt_for"]) == (6, 5)


def test_an_index_of_before_says_that_it_is_to_be_built_anew(tmp_path: Path) -> None:
    build_corpus(numbered(range(3)), tmp_path / "corpus")
    (tmp_path / "corpus" / "counts.npy").unlink()
    told = "built before pages could be added to it, or leave it: build it anew"
    with pytest.raises(IndexFolderError, match=told):
        add_pages(tmp_path / "corpus", numbered([4]))
    with pytest.raises(IndexFolderError, match=told):
        remove_pages(tmp_path / "corpus", {"https://a/1"})
    assert remove_pages(tmp_path / "corpus", {"https://b"}) == 0
    assert len(found(tmp_path / "corpus", ["number1"])[0]) == 1


def test_another_encoder_is_refused(tmp_path: Path, reads: NamedEncoder) -> None:
    build_corpus(numbered(range(2)), tmp_path / "corpus", encoder=reads)
    head = json.loads((tmp_path / "corpus" / "index.json").read_text())
    (tmp_path / "corpus" / "index.json").write_text(json.dumps(head | {"embedder": "another"}))
    with pytest.raises(IndexFolderError, match="was made with the encoder another"):
        add_pages(tmp_path / "corpus", numbered([4]))


def test_one_at_a_time(tmp_path: Path) -> None:
    index = tmp_path / "index" / "corpus"
    build_corpus(numbered(range(2)), index)
    with held(index), pytest.raises(IndexUnwrittenError, match="another process changes the index"):
        remove_pages(index, {"https://a/0"})

    def meanwhile() -> Any:
        build_corpus(numbered(range(4, 8)), index)
        yield from numbered([9])

    with pytest.raises(IndexUnwrittenError, match="was changed by another meanwhile"):
        add_pages(index, meanwhile())
    assert addresses_in(index, {"https://a/4", "https://a/9"}) == {"https://a/4"}


def test_a_title_alone_is_no_text(tmp_path: Path) -> None:
    build_corpus([("a", "Cats", "A cat."), ("b", "Dogs", "")], tmp_path / "corpus")
    assert told_in(tmp_path / "corpus", {"a", "b", "cats", "dogs", "c"}) == {"a", "cats"}
    added = add_pages(tmp_path / "corpus", [("a", "Cats", ""), ("b", "Hounds", ""), ("c", "", " .")])
    assert (added.new, added.changed, added.same, added.total) == (0, 1, 1, 2)
    assert [where for where, _ in added.skipped] == ["c"]
    assert found(tmp_path / "corpus", ["cat", "hounds"])[0][0][0] == "a"


def test_a_reader_keeps_what_it_has_open(tmp_path: Path) -> None:
    build_corpus(numbered(range(3)), tmp_path / "corpus")
    before = Corpus.open(tmp_path / "corpus")
    add_pages(tmp_path / "corpus", numbered([5]))
    remove_pages(tmp_path / "corpus", {"https://a/1"})
    assert [hit.url for hit in asyncio.run(before.search("number1", 3))] == ["https://a/1"]
    assert asyncio.run(before.search("number5", 3)) == ()
    assert before.id != Corpus.open(tmp_path / "corpus").id

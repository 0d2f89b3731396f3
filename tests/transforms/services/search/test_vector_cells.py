"""Many vectors are searched in cells: what is found has its exact score, enough of it is found, and little is paid for
what is new.
"""

import asyncio
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from fakes import MemoryImages
from numpy.typing import NDArray
from PIL import Image
from textures import jpeg, texture

from gog.transforms.images import sha256_hex
from gog.transforms.services.encoders.encoder import LocalEncoder, Vectors
from gog.transforms.services.provider import Opening, ProviderError
from gog.transforms.services.search import vector_cells
from gog.transforms.services.search.corpus import Corpus, build_corpus
from gog.transforms.services.search.encoders_of import NamedEncoder, check_encoder
from gog.transforms.services.search.gallery import Gallery, build_gallery
from gog.transforms.services.search.gallery_change import remove_pictures
from gog.transforms.services.search.index_folder import IndexFolderError, read_head
from gog.transforms.services.search.vector_cells import CellTable, Earlier, open_vectors, write_cells
from gog.transforms.services.search.vector_table import VectorTable

FILES = [jpeg(texture(number, 60, 40), 90) for number in range(40)]


def drawn(count: int, seed: int = 0) -> Vectors:
    """Unit vectors around 60 centres."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(9).standard_normal((60, 24))
    rows = centres[random.integers(0, 60, count)] + 0.4 * random.standard_normal((count, 24))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def written(folder: Path, rows: Vectors, earlier: Earlier | None = None) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    np.save(folder / "embeddings.npy", rows)
    return write_cells(folder / "embeddings.npy", earlier)


def nearest(folder: Path, head: dict[str, Any], query: NDArray[np.float32], count: int = 10) -> list[tuple[int, float]]:
    return open_vectors(folder / "embeddings.npy", head).nearest(query, count)


def recall(folder: Path, head: dict[str, Any], rows: Vectors) -> float:
    """Of queries that are no rows; the scores of what is found are those of an exact search."""
    exact, shares = VectorTable(rows), []
    for query in drawn(100, seed=5):
        truth, found = exact.nearest(query, 10), nearest(folder, head, query)
        assert not dict(found).items() - dict(exact.nearest(query, len(rows))).items()
        assert found == sorted(found, key=lambda one: (-one[1], one[0]))
        shares.append(len(dict(truth).keys() & dict(found).keys()) / 10)
    return float(np.mean(shares))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_cells, "EXACT", 1000)


def test_few_vectors_are_searched_exactly(few: None, tmp_path: Path) -> None:
    rows = drawn(1000)
    assert written(tmp_path, rows) == {}
    assert [path.name for path in tmp_path.iterdir()] == ["embeddings.npy"]
    assert isinstance(open_vectors(tmp_path / "embeddings.npy", {}), VectorTable)


def test_of_many_enough_is_found_and_the_index_says_how_much(few: None, tmp_path: Path) -> None:
    rows = drawn(4000)
    head = written(tmp_path / "one", rows)
    told = head["approximate"]
    assert told["holds"]
    assert told["recall_at_10"] >= 0.98
    assert 8 <= told["probes"] < told["cells"] == 128
    assert recall(tmp_path / "one", head, rows) >= 0.98
    assert written(tmp_path / "other", rows) == head, "the same vectors make the same file"


def test_the_effort_is_raised_until_it_is_enough_or_the_index_says_that_it_is_not(
    few: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(3).standard_normal((2000, 24)).astype(np.float32)
    rows = random / np.linalg.norm(random, axis=1, keepdims=True)
    told = written(tmp_path / "hard", rows)["approximate"]
    assert told["holds"]
    assert told["probes"] > vector_cells.PROBES
    monkeypatch.setattr(vector_cells, "RECALL", 1.1)
    told = written(tmp_path / "never", rows)["approximate"]
    assert (told["holds"], told["probes"]) == (False, told["cells"])


def test_of_rows_that_are_alike_any_is_as_good(few: None, tmp_path: Path) -> None:
    rows = np.repeat(drawn(60), 40, axis=0)
    assert written(tmp_path, rows)["approximate"]["recall_at_10"] == 1.0


def test_what_stays_keeps_its_cell_and_only_what_is_new_is_put_in_one(
    few: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, new = drawn(4000), drawn(300, seed=1)
    head = written(tmp_path / "one", rows)
    learnt: list[int] = []
    learn = vector_cells._learnt
    monkeypatch.setattr(vector_cells, "_learnt", lambda *args: learnt.append(1) or learn(*args))  # type: ignore[func-returns-value]
    stays = np.flatnonzero(np.arange(4000) % 7 != 0)
    # Some left, one is there twice, others are new and stand among them.
    origin = np.concatenate([stays[:1000], np.full(300, -1), stays[1000:], stays[:1]])
    now = np.concatenate([rows[stays[:1000]], new, rows[stays[1000:]], rows[stays[:1]]])
    again = written(tmp_path / "two", now, Earlier(tmp_path / "one", head, origin))
    assert not learnt
    assert again["approximate"]["learnt_for"] == 4000
    assert recall(tmp_path / "two", again, now) >= 0.98
    for number in (0, 1000, 1299, 1300, len(now) - 2):
        assert nearest(tmp_path / "two", again, now[number], 1) == [(number, 1.0)]
    assert [number for number, _ in nearest(tmp_path / "two", again, now[0], 2)] == [0, len(now) - 1]
    written(tmp_path / "three", drawn(9000), Earlier(tmp_path / "one", head, np.full(9000, -1)))
    assert learnt, "of twice as many the centres are others"


def test_cells_of_another_encoder_are_no_beginning(few: None, tmp_path: Path) -> None:
    head = written(tmp_path / "one", drawn(2000))
    other = -np.roll(drawn(2000, seed=2), 5, axis=1)
    again = written(tmp_path / "two", other, Earlier(tmp_path / "one", head, np.full(2000, -1)))
    assert again == written(tmp_path / "three", other)


@pytest.mark.parametrize("damage", ["gone", "cut", "other"])
def test_cells_that_are_damaged_are_told_and_made_anew(few: None, tmp_path: Path, damage: str) -> None:
    rows = drawn(2000)
    head = written(tmp_path / "one", rows)
    file = tmp_path / "one" / "cells.faiss"
    if damage == "gone":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:-1000])
    else:
        written(tmp_path / "other", drawn(1500))
        (tmp_path / "other" / "cells.faiss").rename(file)
    with pytest.raises(ValueError, match=r"cells\.faiss"):
        CellTable(rows, tmp_path / "one", 8)
    again = written(tmp_path / "two", rows, Earlier(tmp_path / "one", head, np.arange(2000)))
    assert recall(tmp_path / "two", again, rows) >= 0.98


def encoder() -> NamedEncoder:
    def encode(pictures: Sequence[Image.Image]) -> NDArray[Any]:
        return np.stack([np.asarray(picture.resize((6, 4)), np.float32).ravel() - 128 for picture in pictures])

    def encode_texts(texts: Sequence[str], asks: bool) -> NDArray[Any]:
        words = [[np.random.default_rng(crc32(word.encode())) for word in re.findall(r"\w+", text)] for text in texts]
        return np.stack([sum(word.standard_normal(16) for word in text) for text in words])

    return NamedEncoder("little:", LocalEncoder("little", pictures=encode, texts=encode_texts))


def built(folder: Path, numbers: Sequence[int]) -> dict[str, Any]:
    build_gallery([(f"https://a/{n}", f"title {n}", "", FILES[n]) for n in numbers], folder, encoder=encoder())
    head: dict[str, Any] = json.loads((folder / "index.json").read_text())
    return head


def first(folder: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> tuple[str, float]:
    monkeypatch.setattr("gog.transforms.services.search.encoders_of.open_encoder", lambda address: encoder())
    images = MemoryImages()
    (hit,) = asyncio.run(Gallery.open(folder, images).search(images.put(FILES[number], "jpg"), 1))
    return hit.title, hit.score or 0.0


def test_a_gallery_of_many_is_built_on_and_forgotten_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_cells, "EXACT", 20)
    folder = tmp_path / "g"
    one = built(folder, range(30))
    assert one["approximate"]["learnt_for"] == 30
    assert first(folder, monkeypatch, 7) == ("title 7", 1.0)
    two = built(folder, range(3, 36))
    assert two["approximate"]["learnt_for"] == 30
    assert two["version"] != one["version"]
    assert first(folder, monkeypatch, 35) == ("title 35", 1.0)
    assert remove_pictures(folder, {sha256_hex(FILES[35])}) == 1
    three = json.loads((folder / "index.json").read_text())
    assert three["approximate"]["learnt_for"] == 30
    assert first(folder, monkeypatch, 35)[0] != "title 35"
    assert first(folder, monkeypatch, 30) == ("title 30", 1.0)
    remove_pictures(folder, {sha256_hex(FILES[n]) for n in range(20, 36)})
    assert "approximate" not in json.loads((folder / "index.json").read_text())
    assert not (folder / "cells.faiss").exists()
    assert first(folder, monkeypatch, 4) == ("title 4", 1.0)


def test_a_corpus_of_many_says_so_and_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_cells, "EXACT", 20)
    pages = [(f"https://a/{n}", f"Page {n}", f"It tells of number {n}.") for n in range(30)]
    report = build_corpus(pages, tmp_path / "c", encoder=encoder())
    assert report.cells is not None
    assert report.cells.holds
    monkeypatch.setattr("gog.transforms.services.search.encoders_of.open_encoder", lambda address: encoder())
    assert asyncio.run(Corpus.open(tmp_path / "c").search("number 17", 3))[0].url == "https://a/17"


def test_without_faiss_many_vectors_are_an_error_that_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_cells, "EXACT", 20)
    built(tmp_path / "there", range(30))
    monkeypatch.setattr(vector_cells, "find_spec", lambda name: None)
    built(tmp_path / "few", range(20))
    first(tmp_path / "few", monkeypatch, 0)
    with pytest.raises(IndexFolderError, match=r"not installed: pip install .*\[vectors\]"):
        built(tmp_path / "many", range(21))
    with pytest.raises(IndexFolderError, match=r"^more than 20 vectors .* not installed: pip install"):
        first(tmp_path / "there", monkeypatch, 0)
    with pytest.raises(ProviderError, match="not installed: pip install"):
        check_encoder(read_head(tmp_path / "there", "gallery"), Opening(f"gallery:{tmp_path}/there"))
    assert len(Gallery.open(tmp_path / "there", MemoryImages(), calls=False)) == 30, "a replay asks for nothing"

"""Words find pictures, and pictures find pages, where an encoder has both towers; elsewhere it is refused in a line."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from fakes import MemoryImages
from PIL import Image
from tiny_encoders import encoder_of_both, picture_encoder, text_encoder

from gog.schemas import FailureClass
from gog.transforms.images import encode
from gog.transforms.services.protocols import ImageSearch, ServiceError, TextSearch, words_of
from gog.transforms.services.provider import Opening, ProviderError
from gog.transforms.services.providers import IMAGE_SEARCHES, TEXT_SEARCHES, open_service
from gog.transforms.services.search.corpus import build_corpus
from gog.transforms.services.search.encoders_of import NamedEncoder, open_encoder
from gog.transforms.services.search.gallery import build_gallery

COLOURS = {"red": (250, 10, 10), "blue": (10, 10, 250), "green": (20, 200, 40)}
PICTURES = {name: Image.new("RGB", (50, 40), colour) for name, colour in COLOURS.items()}
PAGES = [("p:1", "Cats", "cat feline"), ("p:2", "Towers", "tower spire tower"), ("p:3", "Bread", "bread bread")]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> NamedEncoder:
    """An encoder of pictures and texts."""
    return open_encoder(f"transformers:{encoder_of_both(tmp_path_factory.mktemp('siglip') / 'model')}")


def gallery(folder: Path, encoder: NamedEncoder | None) -> Path:
    given = [(f"https://e/{name}", name, "", encode(image)[0]) for name, image in PICTURES.items()]
    build_gallery(given, folder / "gallery", encoder=encoder)
    return folder


def corpus(folder: Path, encoder: NamedEncoder | None) -> Path:
    build_corpus(PAGES, folder / "corpus", encoder=encoder)
    return folder


def by_words(folder: Path, *, calls: bool = True, images: MemoryImages | None = None) -> TextSearch:
    return open_service(TEXT_SEARCHES, Opening(f"gallery:{folder}", images or MemoryImages(), calls=calls))


def by_picture(folder: Path, images: MemoryImages, *, calls: bool = True) -> ImageSearch:
    return open_service(IMAGE_SEARCHES, Opening(f"corpus:{folder}", images, calls=calls))


def ranked(rows: np.ndarray, query: np.ndarray) -> list[int]:
    return sorted(range(len(rows)), key=lambda at: (-max(0.0, round(float(rows[at] @ query), 4)), at))


@pytest.mark.parametrize("query", ["a cat", "tower tower", "bread"])
def test_words_find_the_pictures_that_the_towers_say(tmp_path: Path, both: NamedEncoder, query: str) -> None:
    images = MemoryImages()
    found = asyncio.run(by_words(gallery(tmp_path, both), images=images).search(query, 3))

    async def vectors() -> tuple[np.ndarray, np.ndarray]:
        return await both.encoder.pictures(list(PICTURES.values())), await both.encoder.texts([query], asks=True)

    rows, (asked,) = asyncio.run(vectors())
    assert [hit.title for hit in found] == [list(PICTURES)[at] for at in ranked(rows, asked)]
    assert all(hit.thumbnail_sha256 and images.has(hit.thumbnail_sha256) for hit in found)
    assert all(0 <= (hit.score or 0) <= 1 for hit in found)


def test_a_picture_finds_the_pages_that_the_towers_say(tmp_path: Path, both: NamedEncoder) -> None:
    images = MemoryImages()
    search = by_picture(corpus(tmp_path, both), images)
    for picture in PICTURES.values():
        found = asyncio.run(search.search(images.put(*encode(picture)), 2))

        async def vectors(picture: Image.Image = picture) -> tuple[np.ndarray, np.ndarray]:
            texts = [f"{title}. {text}" for _, title, text in PAGES]
            return await both.encoder.texts(texts, asks=False), await both.encoder.pictures([picture])

        rows, (asked,) = asyncio.run(vectors())
        assert [hit.url for hit in found] == [PAGES[at][0] for at in ranked(rows, asked)[:2]]
        assert all(hit.snippet for hit in found)
    with pytest.raises(ServiceError) as caught:
        asyncio.run(search.search("0" * 64, 2))
    assert caught.value.failure is FailureClass.NOT_FOUND


def test_nothing_is_asked_of_nothing(tmp_path: Path, both: NamedEncoder) -> None:
    search = by_words(gallery(tmp_path, both))
    assert asyncio.run(search.search("  ", 3)) == ()
    assert asyncio.run(search.search("cat", 0)) == ()


def test_an_image_search_answers_words_where_its_encoder_reads_them(tmp_path: Path, both: NamedEncoder) -> None:
    def words(folder: Path, address: str = "gallery", *, calls: bool = True) -> TextSearch | None:
        return words_of(open_service(IMAGE_SEARCHES, Opening(f"{address}:{folder}", MemoryImages(), calls=calls)))

    folder = gallery(tmp_path / "both", both)
    found = words(folder)
    assert found is not None
    assert found.id == by_words(folder).id
    assert asyncio.run(found.search("bread", 3)) == asyncio.run(by_words(folder).search("bread", 3)) != ()
    assert words(folder, calls=False) is not None, "a replay loads no encoder"
    sees = open_encoder(f"onnx:{picture_encoder(tmp_path / 'm')}")
    assert words(gallery(tmp_path / "sees", sees)) is None
    assert words(gallery(tmp_path / "grid", None)) is words(tmp_path / "grid", calls=False) is None
    assert words(corpus(tmp_path / "pages", both), "corpus") is None, "pages are no pictures"


def test_a_replay_needs_no_encoder_and_asks_none(tmp_path: Path, both: NamedEncoder) -> None:
    images = MemoryImages()
    words = by_words(gallery(tmp_path, both), calls=False)
    pages = by_picture(corpus(tmp_path, both), images, calls=False)
    assert words.id == by_words(tmp_path).id
    for asked in (words.search("cat", 3), pages.search(images.put(*encode(PICTURES["red"])), 3)):
        with pytest.raises(ServiceError, match="opened for a replay"):
            asyncio.run(asked)


@pytest.mark.parametrize("how", ["grid", "pictures alone"])
def test_a_gallery_whose_encoder_reads_no_texts_is_refused(tmp_path: Path, how: str) -> None:
    encoder = None if how == "grid" else open_encoder(f"onnx:{picture_encoder(tmp_path / 'm')}")
    with pytest.raises(ProviderError) as caught:
        by_words(gallery(tmp_path, encoder))
    assert str(caught.value) == f"gallery:{tmp_path}: words find no pictures there: its encoder reads no texts"


@pytest.mark.parametrize("how", ["words", "texts alone"])
def test_a_corpus_whose_encoder_sees_no_pictures_is_refused(tmp_path: Path, how: str) -> None:
    encoder = None if how == "words" else open_encoder(f"onnx:{text_encoder(tmp_path / 'm')}")
    with pytest.raises(ProviderError) as caught:
        by_picture(corpus(tmp_path, encoder), MemoryImages())
    assert str(caught.value) == f"corpus:{tmp_path}: pictures find no pages there: no encoder of it sees pictures"

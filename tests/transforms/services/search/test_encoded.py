"""Indexes with encoders: what is alike is found, a second build pays for what is new, and a lost encoder is told."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from fakes import MemoryImages
from PIL import Image
from textures import jpeg, texture
from tiny_encoders import picture_encoder, text_encoder

from gog.schemas import FailureClass
from gog.transforms.images import sha256_hex
from gog.transforms.services.encoders.encoder import Encoder, LocalEncoder, Vectors
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.provider import ProviderError
from gog.transforms.services.search.corpus import SNIPPET, Corpus, build_corpus
from gog.transforms.services.search.encoders_of import NamedEncoder, open_encoder
from gog.transforms.services.search.gallery import Gallery, build_gallery
from gog.transforms.services.search.gallery_change import remove_pictures
from gog.transforms.services.search.index_folder import IndexFolderError

FILES = [jpeg(texture(number, 120, 90), 90) for number in range(6)]
PAGES = [
    ("https://cats", "Pets", "A feline sleeps all day."),
    ("https://dogs", "More pets", "A hound hunts."),
    ("https://towers", "Sights", "The spire is tall.\n\nIt was finished in 1894."),
]


class Counting:
    """An encoder that counts what it is asked for."""

    def __init__(self, named: NamedEncoder) -> None:
        self.inner, self.asked = named.encoder, 0
        self.id, self.precision, self.sees, self.reads = "counting", "float32", True, True

    async def pictures(self, pictures: Sequence[Image.Image]) -> Vectors:
        self.asked += len(pictures)
        return await self.inner.pictures(pictures)

    async def texts(self, texts: Sequence[str], *, asks: bool) -> Vectors:
        self.asked += len(texts)
        return await self.inner.texts(texts, asks=asks)


def rows(numbers: Sequence[int]) -> list[tuple[str, str, str, bytes]]:
    return [(f"https://a/{n}", f"title {n}", "", FILES[n]) for n in numbers]


def titles(folder: Path, data: bytes) -> list[tuple[str, float]]:
    images = MemoryImages()
    found = asyncio.run(Gallery.open(folder, images).search(images.put(data, "jpg"), 3))
    return [(hit.title, hit.score or 0.0) for hit in found]


def test_a_picture_is_found_by_its_encoder(tmp_path: Path) -> None:
    named = open_encoder(f"onnx:{picture_encoder(tmp_path / 'model')}")
    build_gallery(rows(range(6)), tmp_path / "g", encoder=named)
    gallery = Gallery.open(tmp_path / "g", MemoryImages())
    assert not gallery.by_grid
    for number in range(6):
        assert titles(tmp_path / "g", FILES[number])[0] == (f"title {number}", 1.0)
    head = json.loads((tmp_path / "g" / "index.json").read_text())
    assert (head["embedder"], head["precision"]) == (named.encoder.id, "float32")
    assert remove_pictures(tmp_path / "g", {sha256_hex(FILES[2])}) == 1
    assert titles(tmp_path / "g", FILES[3])[0] == ("title 3", 1.0)
    assert "title 2" not in dict(titles(tmp_path / "g", FILES[2]))


def test_a_second_build_pays_for_what_is_new(tmp_path: Path) -> None:
    encoder = Counting(open_encoder(f"onnx:{picture_encoder(tmp_path / 'model')}"))
    named = NamedEncoder("counting:", encoder)
    build_gallery(rows([0, 1, 2]), tmp_path / "g", encoder=named)
    assert encoder.asked == 3
    before = (tmp_path / "g" / "embeddings.npy").read_bytes()
    build_gallery(rows([0, 1, 2]), tmp_path / "g", encoder=named)
    assert encoder.asked == 3
    assert (tmp_path / "g" / "embeddings.npy").read_bytes() == before
    build_gallery(rows([2, 3, 0]), tmp_path / "g", encoder=named)
    assert encoder.asked == 4
    assert [path.name for path in tmp_path.iterdir() if path.name != "model"] == ["g"]
    texts = Counting(open_encoder(f"onnx:{text_encoder(tmp_path / 'text')}"))
    for pages, asked in ((PAGES[:2], 2), (PAGES[:2], 2), (PAGES, 3)):
        build_corpus(pages, tmp_path / "c", encoder=NamedEncoder("counting:", texts))
        assert texts.asked == asked


def test_what_an_ended_build_had_encoded_is_kept(tmp_path: Path) -> None:
    encoder = Counting(open_encoder(f"onnx:{picture_encoder(tmp_path / 'model')}"))

    def ended() -> object:
        yield from rows(range(6)) * 20
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_gallery(ended(), tmp_path / "g", encoder=NamedEncoder("counting:", encoder))  # type: ignore[arg-type]
    assert encoder.asked == 64
    build_gallery(rows(range(6)), tmp_path / "g", encoder=NamedEncoder("counting:", encoder))
    assert encoder.asked == 64, "the six were among the first 64"


def test_a_page_is_found_by_what_it_means_and_by_its_words(tmp_path: Path) -> None:
    named = open_encoder(f"onnx:{text_encoder(tmp_path / 'model')}")
    build_corpus(PAGES, tmp_path / "words")
    build_corpus(PAGES, tmp_path / "both", encoder=named)
    words, both = Corpus.open(tmp_path / "words"), Corpus.open(tmp_path / "both")
    assert words.id != both.id
    assert asyncio.run(words.search("cat", 3)) == ()
    hit = asyncio.run(both.search("cat", 3))[0]
    assert (hit.url, hit.snippet) == ("https://cats", "A feline sleeps all day.")
    hit = asyncio.run(both.search("when was it finished", 3))[0]
    assert (hit.url, hit.snippet) == ("https://towers", "The spire is tall. It was finished in 1894.")
    assert asyncio.run(both.search("?!", 3)) == ()
    assert asyncio.run(both.search("tower finished", 1))[0].score == 1.0


def test_a_snippet_goes_on_into_the_passages_beside_it_and_not_into_other_pages(tmp_path: Path) -> None:
    named = open_encoder(f"onnx:{text_encoder(tmp_path / 'model')}")
    filler = " ".join(f"Sentence number {n} says nothing much." for n in range(13))
    build_corpus(
        [("https://a", "A", "Before all."), ("https://b", "B", f"{filler}\n\nThe spire is old.\n\n{filler}")],
        tmp_path / "c",
        encoder=named,
    )
    corpus = Corpus.open(tmp_path / "c")
    assert len(corpus) >= 3
    (hit, *_) = asyncio.run(corpus.search("old spire", 2))
    assert "The spire is old." in hit.snippet
    assert "Sentence number 12" in hit.snippet
    assert "Sentence number 0" in hit.snippet
    assert len(hit.snippet) <= SNIPPET


@pytest.mark.parametrize("kind", ["gallery", "corpus"])
def test_an_encoder_that_is_lost_or_another_is_told(tmp_path: Path, kind: str) -> None:
    path = (picture_encoder if kind == "gallery" else text_encoder)(tmp_path / "model")
    named = open_encoder(f"onnx:{path}")
    if kind == "gallery":
        build_gallery(rows([0]), tmp_path / "i", encoder=named)
    else:
        build_corpus(PAGES, tmp_path / "i", encoder=named)

    images = MemoryImages()

    def opened(*, calls: bool = True) -> Gallery | Corpus:
        if kind == "gallery":
            return Gallery.open(tmp_path / "i", images, calls=calls)
        return Corpus.open(tmp_path / "i", calls=calls)

    head = json.loads((tmp_path / "i" / "index.json").read_text())
    (tmp_path / "i" / "index.json").write_text(json.dumps(head | {"embedder": "onnx:model@000000000000-000000"}))
    with pytest.raises(IndexFolderError, match="build it anew"):
        opened()
    (tmp_path / "i" / "index.json").write_text(json.dumps(head | {"encoder": f"onnx:{tmp_path}/none.onnx"}))
    with pytest.raises(ProviderError, match="there is no such file"):
        opened()
    replayed = opened(calls=False)
    asked = images.put(FILES[0], "jpg") if kind == "gallery" else "cat"
    with pytest.raises(ServiceError) as error:
        asyncio.run(replayed.search(asked, 1))
    assert error.value.failure is FailureClass.SETUP


def test_a_failing_encoder_ends_the_build_and_leaves_what_was_there(tmp_path: Path) -> None:
    def broken(pictures: Sequence[Image.Image]) -> np.ndarray:
        return np.full((len(pictures), 3), np.nan)

    build_gallery(rows([0, 1]), tmp_path / "g")
    encoder: Encoder = LocalEncoder("broken", pictures=broken)
    with pytest.raises(ServiceError, match="not finite"):
        build_gallery(rows([0]), tmp_path / "g", encoder=NamedEncoder("broken:", encoder))
    assert len(Gallery.open(tmp_path / "g", MemoryImages())) == 2

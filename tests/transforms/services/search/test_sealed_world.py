"""Sealed worlds: what they answer, what they cannot, and what is no such world."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from calling import tree
from fakes import MemoryImages
from sealed import PINNED, READER, plain, sealed

from gog.schemas import FailureClass
from gog.transforms.services.protocols import ServiceError, words_of
from gog.transforms.services.provider import Opening, ProviderError
from gog.transforms.services.providers import IMAGE_SEARCHES, READERS, TEXT_SEARCHES, open_service
from gog.transforms.services.search.sealed_world import SealedTools, SealedWorld
from gog.transforms.services.search.sealing import Asked, seal_world

pytest.importorskip("onnxruntime")


def text(folder: Path, images: MemoryImages | None = None) -> Any:
    return open_service(TEXT_SEARCHES, Opening(f"world:{folder}", images or MemoryImages()))


def failure(work: Any) -> ServiceError:
    with pytest.raises(ServiceError) as raised:
        asyncio.run(work)
    return raised.value


def test_what_was_asked_is_answered_as_it_was_and_the_rest_by_the_indexes(tmp_path: Path) -> None:
    made = sealed(tmp_path)
    assert made.answers == {"text_search": 2, "image_search": 0, "page": 2, "tool": 1}
    assert (made.others, made.images, made.indexes) == (1, 1, {"text_search": 2, "image_search": 2})
    moved = tmp_path / "elsewhere" / "world"
    shutil.copytree(tmp_path / "world", moved)
    for gone in ("world", "index", "sees", "reads"):
        shutil.rmtree(tmp_path / gone)
    before, images = tree(moved), MemoryImages()
    search = text(moved, images)
    (kept,) = asyncio.run(search.search("known", 5))
    assert kept.title == "As it was"
    assert images.has(kept.thumbnail_sha256), "a look may follow"
    assert asyncio.run(search.search("feline", 5))[0].title == "Cats", "by the text encoder, which came along"
    looked = open_service(IMAGE_SEARCHES, Opening(f"world:{moved}", images))
    assert asyncio.run(looked.search(images.put(plain("blue"), "png"), 1))[0].title == "blue"
    words: Any = words_of(looked)
    assert asyncio.run(words.search("a known picture", 5)) == (kept,)
    assert failure(words.search("known", 5)).failure is FailureClass.STORE_MISS, "its encoder reads no texts"
    assert failure(words.search("a known picture", 4)).failure is FailureClass.STORE_MISS
    assert words_of(search) is None
    assert tree(moved) == before
    assert search.id == looked.id == words.id == made.id


def test_pages_and_tools_are_answered_where_they_were_asked(tmp_path: Path) -> None:
    sealed(tmp_path)
    reader = open_service(READERS, Opening(f"world:{tmp_path / 'world'}"))
    assert asyncio.run(reader.read("https://pets/9")).text == "A whole page."
    assert failure(reader.read("https://pets/8")).failure is FailureClass.NOT_FOUND, "as it was"
    assert failure(reader.read("https://pets/7")).failure is FailureClass.STORE_MISS
    images = MemoryImages()
    tools = SealedTools(SealedWorld(tmp_path / "world"), images)
    answer = asyncio.run(tools.call(PINNED, {"query": "towers"}, images.put))
    assert answer.parts[0].text == "A tower of 1890."
    missed = failure(tools.call(PINNED, {"query": "Towers"}, images.put))
    assert (missed.failure, "find" in missed.detail) == (FailureClass.STORE_MISS, True)


def test_without_an_index_a_free_query_is_a_miss(tmp_path: Path) -> None:
    sealed(tmp_path, indexes=False)
    search = text(tmp_path / "world")
    assert asyncio.run(search.search("known", 5))[0].title == "As it was"
    for query, top_k in (("cat", 5), ("known", 4)):
        missed = failure(search.search(query, top_k))
        assert (missed.failure, query in missed.detail) == (FailureClass.STORE_MISS, True)


def test_two_seals_of_one_thing_are_one_world(tmp_path: Path) -> None:
    assert sealed(tmp_path / "a").id == sealed(tmp_path / "b").id
    assert sealed(tmp_path / "c", indexes=False).id != sealed(tmp_path / "d").id


def test_an_encoder_behind_a_server_stays_where_it_is(tmp_path: Path) -> None:
    sealed(tmp_path)
    path = tmp_path / "index/corpus/index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"encoder": "http://127.0.0.1:9/v1#m"}))
    asked = {"text_search": Asked("corpus:pets@1", tmp_path / "index/corpus")}
    made = seal_world(tmp_path / "other", "pets", asked, (), MemoryImages())
    assert (made.left_out, made.indexes) == ({"text_search": "http://127.0.0.1:9/v1#m"}, {})
    assert failure(text(tmp_path / "other").search("cat", 5)).failure is FailureClass.STORE_MISS


def test_a_world_is_never_written_over(tmp_path: Path) -> None:
    sealed(tmp_path)
    with pytest.raises(ProviderError, match="is there already"):
        seal_world(tmp_path / "world", "pets", {"page": Asked(READER)}, (), MemoryImages())


def spoil(world: Path, what: str) -> None:
    head = world / "world.json"
    match what:
        case "gone":
            shutil.rmtree(world)
        case "no json":
            head.write_text("{")
        case "other":
            head.write_text('{"format": "gog-cassette"}')
        case "newer":
            head.write_text(json.dumps(json.loads(head.read_text()) | {"version": 2}))
        case "cut":
            (world / "index/gallery/thumbnails.bin").write_bytes(b"")
        case "missing":
            for file in world.glob("encoders/*/model.onnx"):
                file.unlink()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("gone", "is no sealed world: `gog store export"),
        ("no json", "cannot be read"),
        ("other", "is no sealed world"),
        ("newer", "another version"),
        ("cut", "thumbnails.bin is missing or cut off"),
        ("missing", "encoder"),
    ],
)
def test_what_is_no_world_or_a_part_of_one_is_told(tmp_path: Path, what: str, said: str) -> None:
    sealed(tmp_path)
    spoil(tmp_path / "world", what)
    with pytest.raises(ProviderError, match=said):
        text(tmp_path / "world")


def test_a_world_without_pages_reads_none(tmp_path: Path) -> None:
    seal_world(tmp_path / "world", "pets", {"text_search": Asked("serper:us-en")}, (), MemoryImages())
    with pytest.raises(ProviderError, match="no answers to page"):
        open_service(READERS, Opening(f"world:{tmp_path / 'world'}"))


def test_a_damaged_answer_is_a_failure_and_no_miss(tmp_path: Path) -> None:
    sealed(tmp_path)
    path = tmp_path / "world/answers.jsonl"
    path.write_bytes(path.read_bytes().replace(b"As it was", b"As it\x00was"))
    damaged = failure(text(tmp_path / "world").search("known", 5))
    assert (damaged.failure, "damaged" in damaged.detail) == (FailureClass.SETUP, True)

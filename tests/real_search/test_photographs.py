"""What encoders that were trained find in photographs, through indexes that `gog index build` made."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from real_search.asking import Places, among, index_build, of_pictures
from real_search.environment import HOME, PICTURE_ENCODERS
from real_search.photographs import Asked, asked_of, world_of

from gog.transforms.images import decode_image
from gog.transforms.services.search.encoders_of import open_encoder

pytestmark = [pytest.mark.search, pytest.mark.timeout(1800)]


@dataclass(frozen=True)
class Indexed:
    """An index by an encoder, and what it finds."""

    encoder: str
    """Its address; empty for the grid."""
    pictures: Path
    """What was indexed: a folder with a file of texts beside it."""
    found: Places


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Boards, and what is indexed."""
    return world_of(HOME / "photographs", tmp_path_factory.mktemp("photographs") / "world")


@pytest.fixture(scope="session")
def asked(world: Path) -> list[Asked]:
    """The questions."""
    return list(asked_of(HOME / "photographs", world))


def indexed(encoder: str, world: Path, asked: list[Asked], out: Path) -> Indexed:
    """Build it, and ask."""
    pictures, chosen = world / "index_of" / "pictures", ("--image-encoder", encoder) if encoder else ()
    index_build(out, "--images", pictures, "--texts", world / "index_of" / "texts.jsonl", *chosen)
    return Indexed(encoder, pictures, of_pictures(out, asked))


@pytest.fixture(scope="session", params=sorted(PICTURE_ENCODERS))
def index(
    request: pytest.FixtureRequest, world: Path, asked: list[Asked], tmp_path_factory: pytest.TempPathFactory
) -> Indexed:
    """By each encoder."""
    return indexed(PICTURE_ENCODERS[request.param], world, asked, tmp_path_factory.mktemp("index"))


def test_the_crop_of_what_is_asked_for(index: Indexed) -> None:
    """All of 138 were found when this was written; 118 of 122 were asked for."""
    crops = index.found["gold crop"]
    assert len(crops) == 138
    assert among(crops, 1) >= 136


def test_another_photograph(index: Indexed) -> None:
    """14 by Lite0 and 13 by Lite2 when this was written; 4 of 7 were asked for."""
    others = index.found["another photograph"]
    assert len(others) == 14
    assert among(others, 1) >= 12


@pytest.mark.parametrize("kind", ["other cut", "other light", "other colour", "mirrored and small"])
def test_the_same_photograph_changed(index: Indexed, kind: str) -> None:
    """At least 100 of 103 were found when this was written."""
    assert len(index.found[kind]) == 103
    assert among(index.found[kind], 1) >= 98


def test_a_whole_board_finds_what_the_encoder_finds_and_no_more(index: Indexed, asked: list[Asked]) -> None:
    """4 of 138 by Lite0 and 8 by Lite2 when this was written: nothing in the index looks into a board."""
    boards = [one for one in asked if one.kind == "whole board"]
    lines = map(json.loads, index.pictures.with_name("texts.jsonl").read_text().splitlines())
    titles = {line["image"]: line["title"] for line in lines if "image" in line}
    encoder = open_encoder(index.encoder).encoder

    async def nearest() -> NDArray[np.int64]:
        loaded = [decode_image((index.pictures / name).read_bytes()) for name in titles]
        rows, queries = await encoder.pictures(loaded), await encoder.pictures([one.picture for one in boards])
        return np.asarray((queries @ rows.T).argmax(1), np.int64)

    names = list(titles.values())
    own = sum(names[at] == one.title for at, one in zip(asyncio.run(nearest()), boards, strict=True))
    assert among(index.found["whole board"], 1) == own <= 14


def test_without_an_encoder_another_photograph_is_not_found(
    world: Path, asked: list[Asked], tmp_path_factory: pytest.TempPathFactory
) -> None:
    found = indexed("", world, asked, tmp_path_factory.mktemp("grid")).found
    assert among(found["another photograph"], 1) <= 4
    assert among(found["gold crop"], 1) >= 136

"""Questions about several pictures: each box lies on the picture that it was drawn on, however deep a gaze is."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeSearch, called, hit, picture

from gog.schemas import WHOLE, Box, EpisodeImage, Frame
from gog.transforms.episode.crops import Cropper
from gog.transforms.episode.driver import Driven, take_turn, use_tool
from gog.transforms.episode.machine import Episode, EpisodeSettings, offered_tools, start, system_prompt
from gog.transforms.episode.steps import is_reflective
from gog.transforms.episode.tool import EpisodeTools, question_images
from gog.transforms.images import CropSettings
from gog.transforms.passing_images import PassingImages
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.protocols import ChatReply
from gog.transforms.services.store.records import Mode
from gog.transforms.services.store.sqlite import Store

SETTINGS = EpisodeSettings(question_images=3, max_images=6, frame=Frame.FRACTION)
SIZES = ((640, 480), (400, 300), (300, 200))


class World:
    """A question about three pictures, and searches that remember what they were asked with."""

    def __init__(self, tools: EpisodeTools, images: PassingImages, search: FakeSearch) -> None:
        self.tools, self.images, self.search = tools, images, search
        kept = [
            EpisodeImage(sha256=images.put(picture(*size), "png"), width=size[0], height=size[1], box=WHOLE)
            for size in SIZES
        ]
        self.driven = Driven(start(SETTINGS, "Which is the oldest?", kept, system_prompt(SETTINGS)[0]))

    @property
    def episode(self) -> Episode:
        return self.driven.episode

    def turn(self, name: str, *, words: str = "", **arguments: object) -> None:
        """A turn with one call, and its tool."""
        message = called(name, arguments, text=words)

        async def go() -> None:
            self.driven = take_turn(self.driven, ChatReply(message))
            while self.episode.pending is not None:
                self.driven = await use_tool(self.driven, self.tools)

        asyncio.run(go())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    images, search = PassingImages(), FakeSearch(lambda sha: (hit("Kenya"),), id="fake-image:1")
    with Store(tmp_path, Mode.LIVE) as store:
        text = FakeSearch(lambda query: (hit(query),), id="fake-text:1")
        yield World(
            EpisodeTools(Gateway(store), text, search, Cropper(store, images, CropSettings()), 5), images, search
        )


def test_the_question_shows_all_of_them(world: World) -> None:
    asked = world.episode.messages[1]
    assert asked.images == tuple(image.sha256 for image in world.episode.images)
    assert asked.text.splitlines() == [
        "Image 0 (640 x 480 pixels).",
        "Image 1 (400 x 300 pixels).",
        "Image 2 (300 x 200 pixels).",
        "Question: Which is the oldest?",
    ]
    assert question_images(world.episode.images) == world.episode.images


def test_a_gaze_lies_on_the_picture_that_it_was_drawn_on(world: World) -> None:
    world.turn("gaze", bbox_2d=[0.5, 0.5, 1.0, 1.0], label="a flag", image=1)
    crop, step, found = world.episode.images[3], world.episode.steps[0], world.driven.evidence[0]
    assert (step.on_image, step.box) == (1, Box(0.5, 0.5, 1.0, 1.0))
    assert (crop.on_image, crop.origin, found.on_image, found.box) == (1, None, 1, crop.box)
    assert world.episode.messages[-1].text.startswith("Image 3: the crop (")

    world.turn("gaze", bbox_2d=[0.0, 0.0, 0.5, 0.5], label="its half", image=3)
    nested = world.episode.steps[1]
    assert nested.on_image == 1
    assert nested.box is not None
    assert nested.box.x1 == pytest.approx(crop.box.x1)
    assert world.episode.images[4].on_image == 1
    assert question_images(world.episode.images) == world.episode.images[:3], "crops are none"


def test_the_same_box_on_two_pictures_is_two_crops_and_no_repetition(world: World) -> None:
    for number in (0, 1, 0):
        world.turn("gaze", bbox_2d=[0.1, 0.1, 0.6, 0.6], label="it", image=number)
    steps = world.episode.steps
    assert [step.error for step in steps] == ["", "", "repeated"]
    assert steps[0].evidence_ids != steps[1].evidence_ids


def test_a_glance_is_at_the_picture_that_it_names(world: World) -> None:
    world.turn("image_search")
    world.turn("image_search", image="2")
    world.turn("image_search", image=0)
    world.turn("image_search", image=3)
    assert [step.error for step in world.episode.steps] == ["", "", "repeated", "unknown_image"]
    assert [step.on_image for step in world.episode.steps][:2] == [0, 2]
    assert [one.image_sha256 for one in world.driven.evidence] == [world.episode.images[n].sha256 for n in (0, 2)]
    assert "0 to 2" in world.episode.messages[-1].text


def test_looking_at_another_picture_is_looking_elsewhere(world: World) -> None:
    world.turn("image_search")
    world.turn("image_search", words="Evidence: off target. It is the other one.", image=1)
    assert is_reflective(world.episode.steps)


def test_images_of_the_question_take_room(world: World) -> None:
    for number in range(4):
        world.turn("gaze", bbox_2d=[0.1 * number, 0.1, 0.6, 0.6], label="it", image=0)
    assert world.episode.steps[-1].error == "too_many_images"
    assert len(world.episode.images) == 6
    assert world.episode.stop is None


def test_what_is_offered_says_so_only_where_it_may_happen() -> None:
    def of(images: int) -> tuple[Any, str, str]:
        limits = SETTINGS.model_copy(update={"question_images": images})
        schemas: list[Any] = [tool["function"] for tool in offered_tools(limits)]
        (glance,) = (schema for schema in schemas if schema["name"] == "image_search")
        return glance["parameters"]["properties"], *system_prompt(limits)

    one, two = of(1), of(2)
    assert one[0] == {}
    assert "image" in two[0]
    assert "up to 2 images" in two[1]
    assert two[1].startswith(one[1])
    assert one[2] != two[2]


def test_more_pictures_than_a_question_may_have_are_refused(world: World) -> None:
    one = SETTINGS.model_copy(update={"question_images": 2})
    with pytest.raises(ValueError, match="3 pictures, and a question may have 2"):
        start(one, "q", world.episode.images, "s")
    with pytest.raises(ValueError, match="raise max_images"):
        EpisodeSettings(question_images=3, max_images=2)

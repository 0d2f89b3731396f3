"""What the planner does next, from hand-made histories."""

import asyncio
import io
import json
from typing import Any

import numpy as np
import pytest
from fakes import MemoryImages, called, gaze
from PIL import Image
from playing import asked_of

from gog.prompts import render
from gog.schemas import WHOLE, Box, EpisodeImage, Frame, FrameSpec, ImagePart, Message, Reflection, TextPart
from gog.schemas.boxes import from_frame, iou
from gog.transforms.atlas.planner.policy import Planner
from gog.transforms.dialect.turns import FRAME_TEXT, Answer, Call, Mistake, parse_turn
from gog.transforms.episode.machine import EpisodeSettings, offered_tools
from gog.transforms.episode.reflection import reflection_of
from gog.transforms.episode.tools import BUILT_IN, known_tools
from gog.transforms.services.protocols import ChatReply, ChatRequest, Sampling

LEFT, RIGHT = Box(0.1, 0.2, 0.3, 0.4), Box(0.6, 0.5, 0.8, 0.7)


def two_flags() -> Image.Image:
    image = Image.new("RGB", (1000, 750), (120, 125, 118))
    for box, colours in (
        (LEFT, ((0, 50, 160), (250, 250, 250), (210, 20, 40))),
        (RIGHT, ((0, 120, 60), (250, 200, 20))),
    ):
        width = round((box.x2 - box.x1) * 1000 / len(colours))
        for n, colour in enumerate(colours):
            x = round(box.x1 * 1000) + n * width
            image.paste(colour, (x, round(box.y1 * 750), x + width, round(box.y2 * 750)))
    return image


@pytest.fixture(scope="module")
def images() -> MemoryImages:
    return MemoryImages()


@pytest.fixture(scope="module")
def image(images: MemoryImages) -> EpisodeImage:
    buffer = io.BytesIO()
    two_flags().save(buffer, "PNG")
    return EpisodeImage(sha256=images.put(buffer.getvalue(), "png"), width=1000, height=750, box=WHOLE)


def start(image: EpisodeImage, question: str, frame: Frame = Frame.PER_MILLE) -> tuple[Message, ...]:
    system = render("episode/system", frame_text=FRAME_TEXT[frame], max_turns=8, tools=list(BUILT_IN))
    return asked_of(image, question, system=system.text)


def told(text: str) -> Message:
    return Message(role="tool", content=text, tool_call_id="x")


def found(tool: str, *hits: tuple[str, float], snippet: str = "") -> Message:
    lines = [
        f"[{n}] {title} | score {score:.2f} | atlas://{n}\n    {snippet}" for n, (title, score) in enumerate(hits, 1)
    ]
    return told("\n".join([f"{tool} found {len(hits)} results.", *lines]))


def turn(
    images: MemoryImages, *messages: Message, skill: float = 1.0, frame: Frame = Frame.PER_MILLE, **more: Any
) -> tuple[ChatReply, Call | Answer | Mistake, Reflection | None]:
    tools = more.pop("tools", offered_tools(EpisodeSettings(frame=frame)))
    reply = asyncio.run(Planner(images, skill).complete(ChatRequest(messages, tools, Sampling(**more))))
    action = parse_turn(reply.message, 0, known_tools()).action
    return reply, action, reflection_of(reply.message.reasoning_content or "")


def gazed_at(action: object, frame: Frame = Frame.PER_MILLE) -> Box:
    assert isinstance(action, Call)
    assert action.tool == "gaze"
    values = action.arguments["bbox_2d"]
    assert isinstance(values, list)
    return from_frame([float(str(v)) for v in values], FrameSpec(frame), 1000, 750)


WHICH = "Which country does the rightmost flag belong to?"
RIGHT_BOX = [600, 500, 800, 700]
LEFT_BOX = [100, 200, 300, 400]


@pytest.mark.parametrize("frame", [Frame.PER_MILLE, Frame.FRACTION, Frame.PIXELS])
def test_it_gazes_at_what_the_question_means_in_the_named_frame(
    images: MemoryImages, image: EpisodeImage, frame: Frame
) -> None:
    reply, action, judged = turn(images, *start(image, WHICH, frame), frame=frame)
    assert iou(gazed_at(action, frame), RIGHT) > 0.85
    assert judged is None
    assert reply.finish_reason == "tool_calls"
    assert reply.message.tool_calls[0].id == "call_0"


def test_a_clear_match_is_useful_and_answers(images: MemoryImages, image: EpisodeImage) -> None:
    history = (
        *start(image, WHICH),
        gaze(RIGHT_BOX),
        found("gaze", ("Flag of the Gambia", 0.93), ("Flag of Peru", 0.4)),
    )
    reply, action, judged = turn(images, *history)
    assert judged is Reflection.USEFUL
    assert action == Answer("Gambia")
    assert reply.finish_reason == "stop"


def test_a_clear_match_at_another_flag_is_off_target(images: MemoryImages, image: EpisodeImage) -> None:
    history = (*start(image, WHICH), gaze(LEFT_BOX), found("gaze", ("Flag of France", 0.97), ("Flag of Peru", 0.4)))
    _, action, judged = turn(images, *history)
    assert judged is Reflection.OFF_TARGET
    assert iou(gazed_at(action), RIGHT) > 0.85


def test_without_skill_the_wrong_flag_goes_unnoticed(images: MemoryImages, image: EpisodeImage) -> None:
    history = (*start(image, WHICH), gaze(LEFT_BOX), found("gaze", ("Flag of France", 0.97), ("Flag of Peru", 0.4)))
    _, action, judged = turn(images, *history, skill=0.0)
    assert (action, judged) == (Answer("France"), Reflection.USEFUL)


def test_a_poor_match_is_off_target_and_something_else_is_looked_at(images: MemoryImages, image: EpisodeImage) -> None:
    history = (*start(image, WHICH), gaze(RIGHT_BOX), found("gaze", ("Flag of Peru", 0.31)))
    _, action, judged = turn(images, *history)
    assert judged is Reflection.OFF_TARGET
    assert iou(gazed_at(action), LEFT) > 0.85


def test_a_middling_match_is_ambiguous_and_looked_at_again(images: MemoryImages, image: EpisodeImage) -> None:
    history = (*start(image, WHICH), gaze(RIGHT_BOX), found("gaze", ("Flag of Mali", 0.70), ("Flag of Guinea", 0.69)))
    reply, action, judged = turn(images, *history)
    assert judged is Reflection.AMBIGUOUS
    again = gazed_at(action)
    assert again != Box(0.6, 0.5, 0.8, 0.7)
    assert iou(again, RIGHT) > 0.6
    history = (*history, reply.message, found("gaze", ("Flag of Mali", 0.71)))
    _, action, _ = turn(images, *history)
    assert action == Answer("Mali")


def test_a_glance_at_several_things_is_off_target(images: MemoryImages, image: EpisodeImage) -> None:
    history = (*start(image, WHICH), called("image_search"), found("image_search", ("Flag of Peru", 0.22)))
    _, action, judged = turn(images, *history)
    assert judged is Reflection.OFF_TARGET
    assert iou(gazed_at(action), RIGHT) > 0.85


CAPITAL = "What is the capital of the country that the rightmost flag belongs to?"


def test_a_fact_is_searched_and_read_in_the_passage_on_the_country(images: MemoryImages, image: EpisodeImage) -> None:
    history = (*start(image, CAPITAL), gaze(RIGHT_BOX), found("gaze", ("Flag of the Gambia", 0.93)))
    reply, action, judged = turn(images, *history)
    assert judged is Reflection.USEFUL
    assert isinstance(action, Call)
    assert action.tool == "text_search"
    query = str(action.arguments["query"])
    assert "Gambia" in query
    assert "capital" in query
    passages = told(
        "text_search found 2 results.\n"
        "[1] Senegal | score 0.80 | atlas://country/SEN\n    The capital of Senegal is Dakar.\n"
        "[2] Gambia | score 0.70 | atlas://country/GMB\n    The capital of the Gambia is Banjul. It has a coast."
    )
    reply, action, judged = turn(images, *history, reply.message, passages)
    assert (action, judged) == (Answer("Banjul"), Reflection.USEFUL)
    assert "Banjul" in (reply.message.reasoning_content or "")


def test_a_text_without_the_fact_is_off_target_and_rephrased(images: MemoryImages, image: EpisodeImage) -> None:
    history = (
        *start(image, CAPITAL),
        gaze(RIGHT_BOX),
        found("gaze", ("Flag of the Gambia", 0.93)),
        called("text_search", {"query": "capital of Gambia"}, think="Evidence: useful. Gambia."),
        found("text_search", ("Peru", 0.3), snippet="The capital of Peru is Lima."),
    )
    _, action, judged = turn(images, *history)
    assert judged is Reflection.OFF_TARGET
    assert isinstance(action, Call)
    assert action.arguments["query"] != "capital of Gambia"


@pytest.mark.parametrize(
    "note",
    [
        "Error: The box reaches outside the image.",
        "gaze: already done, the result is above. Do something else or answer.",
        "gaze failed (timeout); this is not your mistake. Try something else or answer with what you know.",
        "Not done: one call a turn.",
        "gaze found nothing.",
        "",
    ],
)
def test_after_a_note_it_goes_on_and_ends(images: MemoryImages, image: EpisodeImage, note: str) -> None:
    history = (*start(image, WHICH), gaze(RIGHT_BOX), told(note))
    for _ in range(8):
        reply, action, _ = turn(images, *history)
        if isinstance(action, Answer):
            return
        assert isinstance(action, Call)
        history = (*history, reply.message, told(note))
    pytest.fail("it never answered")


def test_a_tool_that_keeps_failing_ends_with_an_answer_soon(images: MemoryImages, image: EpisodeImage) -> None:
    failed = told("gaze failed (server); this is not your mistake. Try something else or answer with what you know.")
    history = (*start(image, WHICH), *(m for box in (RIGHT_BOX, LEFT_BOX, RIGHT_BOX) for m in (gaze(box), failed)))
    _, action, _ = turn(images, *history)
    assert isinstance(action, Answer)


def test_it_answers_when_told_to(images: MemoryImages, image: EpisodeImage) -> None:
    result = found("gaze", ("Flag of Mali", 0.93)).text + "\n(One turn is left: answer now.)"
    for question, box in ((WHICH, RIGHT_BOX), (CAPITAL, RIGHT_BOX), (WHICH, LEFT_BOX)):
        _, action, _ = turn(images, *start(image, question), gaze(box), told(result))
        assert isinstance(action, Answer)


def test_no_more_crops(images: MemoryImages, image: EpisodeImage) -> None:
    history = (*start(image, WHICH), gaze(LEFT_BOX), told("Error: No more crops: search otherwise or answer."))
    _, action, _ = turn(images, *history)
    assert not isinstance(action, Call) or action.tool != "gaze"


def test_a_gaze_at_a_crop_is_placed_on_the_original(images: MemoryImages, image: EpisodeImage) -> None:
    text = "Image 1: the crop (500 x 750 pixels).\n" + found("gaze", ("Flag of X", 0.1)).text
    parts = (ImagePart(image=image.sha256), TextPart(text=text))
    crop = Message(role="tool", content=parts, tool_call_id="x")
    on_crop = gaze([200, 500, 600, 700], image=1)  # of the right half: the rightmost flag
    result = found("gaze", ("Flag of Mali", 0.95))
    _, action, judged = turn(images, *start(image, WHICH), gaze([500, 0, 1000, 1000]), crop, on_crop, result)
    assert (action, judged) == (Answer("Mali"), Reflection.USEFUL)


def test_without_the_gaze_tool_it_glances(images: MemoryImages, image: EpisodeImage) -> None:
    tools = tuple(
        tool for tool in offered_tools(EpisodeSettings(frame=Frame.PER_MILLE)) if "gaze" not in json.dumps(tool)
    )
    messages = start(image, WHICH)
    _, action, _ = turn(images, *messages, tools=tools)
    assert isinstance(action, Call)
    assert action.tool == "image_search"


def test_counting_is_done_by_eye(images: MemoryImages, image: EpisodeImage) -> None:
    assert turn(images, *start(image, "How many flags are there?"))[1] == Answer("2")


def test_hints_are_used_and_never_mentioned(images: MemoryImages) -> None:
    buffer = io.BytesIO()
    noise = np.random.Generator(np.random.PCG64(4)).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((1000, 750), Image.Resampling.BICUBIC).save(buffer, "PNG")
    busy = EpisodeImage(sha256=images.put(buffer.getvalue(), "png"), width=1000, height=750, box=WHOLE)
    regions = [{"box": "[600, 500, 800, 700]", "label": "flag"}, {"box": "[bad, 1, 2]", "label": "x"}]
    system, user = start(busy, "Which country does the largest flag belong to?")
    hints = render("episode/hints", regions=regions).text
    user = Message(role="user", content=(ImagePart(image=busy.sha256), TextPart(text=user.text), TextPart(text=hints)))
    reply, action, _ = turn(images, system, user)
    assert gazed_at(action) == Box(0.6, 0.5, 0.8, 0.7)
    assert "hint" not in (reply.message.reasoning_content or "").lower()


@pytest.mark.parametrize("data", [b"", b"not an image", None])
def test_an_unreadable_image_ends_with_unknown_after_trying(images: MemoryImages, data: bytes | None) -> None:
    sha256 = "0" * 64 if data is None else images.put(data, "png")
    image = EpisodeImage(sha256=sha256, width=1000, height=750, box=WHOLE)
    for question in (WHICH, "Who is this?", ""):
        history, tried = start(image, question), 0
        for _ in range(8):
            reply, action, _ = turn(images, *history)
            if not isinstance(action, Call):
                break
            tried += 1
            history = (*history, reply.message, told(f"{action.tool} found nothing."))
        assert action == Answer("unknown")
        assert tried >= 1

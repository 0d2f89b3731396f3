import json
from typing import Any

import pytest
from fakes import sha
from hypothesis import given
from hypothesis import strategies as st
from lakes import found, said

from gog.schemas import WHOLE, Box, EpisodeImage, Frame, Message, Origin, Reject, Seed, Trajectory
from gog.schemas.boxes import frame_size, from_frame, to_frame
from gog.transforms.dialect.backbones import BACKBONES, Backbone
from gog.transforms.episode.driver import Driven
from gog.transforms.episode.machine import EpisodeSettings, act, observe, offered_tools, start, system_prompt
from gog.transforms.episode.tool import ToolResult
from gog.transforms.episode.trajectory import Making, make_trajectory, policy_view
from gog.transforms.export.reframe import reframe
from gog.transforms.export.rows import trained_messages

EPISODE = EpisodeSettings()
each_backbone = pytest.mark.parametrize(
    "backbone", list(map(BACKBONES.__getitem__, BACKBONES)), ids=lambda backbone: backbone.name
)


def seed_of(width: int = 1600, height: int = 1200) -> Seed:
    return Seed(
        seed_id="seed-1",
        dataset="atlas",
        question="Which flag is it?",
        answers=("Kenya",),
        image_sha256=sha("original"),
        width=width,
        height=height,
        image_phash="0" * 16,
    )


def gaze(box: list[float], image: int = 0) -> tuple[str, str]:
    return "gaze", json.dumps({"bbox_2d": box, "label": "a flag", "image": image})


def played(
    turns: list[Message],
    settings: EpisodeSettings = EPISODE,
    seed: Seed | None = None,
    crop: tuple[int, int] = (90, 60),
) -> tuple[Trajectory, dict[str, Any]]:
    """The turns through the machine, every tool answered; with the teacher's prompt and hints."""
    seed = seed or seed_of()
    original = EpisodeImage(sha256=seed.image_sha256, width=seed.width, height=seed.height, box=WHOLE)
    episode = start(settings, seed.question, [original], system_prompt(settings, teacher=True)[0], hints="HINT")
    evidence = {}
    for number, turn in enumerate(turns):
        episode = act(episode, turn, train=number != 1)
        call = 0
        while (asked := episode.pending) is not None:
            cut, name = None, f"{number}.{call}" if call else str(number)
            if asked.box is not None:
                cut = EpisodeImage(sha256=sha(f"crop {name}"), width=crop[0], height=crop[1], box=asked.box)
            made = found(asked.tool.name, f"Kenya {name}", 0.9, cut.sha256 if cut else None, cut.box if cut else None)
            evidence[made.evidence_id] = made
            episode = observe(episode, ToolResult(made, cut))
            call += 1
    return make_trajectory(seed, Driven(episode), Making(Origin.ROLLOUT, "teacher", 0, {})), evidence


def reframed(turns: list[Message], backbone: Backbone, settings: EpisodeSettings = EPISODE, **more: Any) -> Trajectory:
    made, evidence = played(turns, settings, **more)
    out = reframe(made, more.get("seed") or seed_of(), evidence, settings, settings.in_frame(backbone.spec))
    assert isinstance(out, Trajectory), out
    return out


def boxes_of(trajectory: Trajectory) -> list[list[float]]:
    calls = [call for message in trajectory.messages for call in message.tool_calls]
    loaded = [json.loads(call.function.arguments) for call in calls]
    return [arguments["bbox_2d"] for arguments in loaded if "bbox_2d" in arguments]


ANSWER = said("Evidence: useful. This is it.", answer="Kenya")
TURNS = [
    said("I look.", gaze([100, 200, 300, 401])),
    said("Evidence: off target.", gaze([250, 500, 750, 900], image=1)),
    said("Evidence: useful.", ("text_search", '{"query": "Kenya"}')),
    ANSWER,
]


@each_backbone
def test_a_box_that_a_turn_names_is_named_in_the_backbones_frame(backbone: Backbone) -> None:
    turns = [
        said("I look at [100, 200, 300, 401].", gaze([100, 200, 300, 401])),
        said("Evidence: off target （100， 200， 300， 401）; (250, 500, 750, 900).", gaze([250, 500, 750, 900])),
        ANSWER,
    ]
    out = reframed(turns, backbone)
    first, second = boxes_of(out)
    thoughts = [f"{message.reasoning_content or ''}{message.text}" for message in out.messages if message.tool_calls]
    assert ", ".join(f"{value:g}" for value in first) in thoughts[0]
    assert "， ".join(f"{value:g}" for value in first) in thoughts[1]
    assert ", ".join(f"{value:g}" for value in second) in thoughts[1]


@each_backbone
def test_speaks_the_backbones_frame_throughout(backbone: Backbone) -> None:
    target = EPISODE.in_frame(backbone.spec)
    out = reframed(TURNS, backbone)
    assert out.frame == backbone.frame
    assert out.tools == offered_tools(target)
    assert out.messages[0].content == system_prompt(target)[0]
    assert policy_view(out, target) == out.messages
    assert "HINT" not in out.model_dump_json()


def test_a_label_is_written_as_it_was() -> None:
    flag = "gaze", json.dumps({"bbox_2d": [100, 200, 300, 400], "label": "дом 旗"}, ensure_ascii=False)
    out = reframed([said("I look.", flag), ANSWER], BACKBONES["qwen2.5-vl"])
    assert '"label": "дом 旗"' in out.messages[2].tool_calls[0].function.arguments


def test_in_resized_pixels_sizes_and_boxes_are_those_of_the_resized_image() -> None:
    out = reframed(TURNS, BACKBONES["qwen2.5-vl"], seed=seed_of(1600, 1200))
    assert out.messages[1].text.startswith("Image 0 (1148 x 840 pixels).")
    assert "Image 1: the crop (84 x 56 pixels)." in out.messages[3].text
    assert boxes_of(out) == [[115, 168, 344, 337], [21, 28, 63, 50]]


@pytest.mark.parametrize("frame", Frame)
def test_the_same_frame_gives_the_policys_view_of_the_record(frame: Frame) -> None:
    settings = EPISODE.model_copy(update={"frame": frame})
    turns = [
        said("I look.", gaze(list(to_frame(Box(0.0, 0.25, 0.5, 0.75), settings.spec, 1600, 1200)))),
        said("Evidence: off target.", gaze(list(to_frame(Box(0.0, 0.5, 0.5, 1.0), settings.spec, 90, 60)), image=1)),
        said("No call."),
        ANSWER,
    ]
    made, evidence = played(turns, settings)
    out = reframe(made, seed_of(), evidence, settings, settings)
    assert isinstance(out, Trajectory)
    assert out.messages[2:] == made.messages[2:]
    assert out.messages == policy_view(made, settings)
    assert (out.steps, out.answer, out.stop) == (made.steps, made.answer, made.stop)


@each_backbone
@given(
    width=st.integers(40, 3000),
    height=st.integers(40, 3000),
    corners=st.tuples(*[st.integers(0, 1000)] * 4).filter(lambda c: abs(c[0] - c[2]) > 99 and abs(c[1] - c[3]) > 99),
)
def test_boxes_are_within_half_a_unit(
    backbone: Backbone, width: int, height: int, corners: tuple[int, int, int, int]
) -> None:
    x1, x2 = sorted(corners[::2])
    y1, y2 = sorted(corners[1::2])
    seed = seed_of(width, height)
    out = reframed([said("I look.", gaze([x1, y1, x2, y2])), ANSWER], backbone, seed=seed)
    (box,) = boxes_of(out)
    units = frame_size(backbone.spec, width, height)
    for axis, (value, wanted) in enumerate(zip(box, (x1, y1, x2, y2), strict=True)):
        assert abs(value - wanted / 1000 * units[axis % 2]) <= 0.5 + 1e-9
    # and loaded back by the episode's own reader
    assert from_frame(box, backbone.spec, width, height)
    assert out.steps[0].box == Box(x1 / 1000, y1 / 1000, x2 / 1000, y2 / 1000)


@each_backbone
def test_mistakes_stay_the_same_mistakes_in_the_backbones_words(backbone: Backbone) -> None:
    turns = [
        said("Too far.", gaze([100, 200, 1500, 400])),
        said("I look.", gaze([100, 200, 300, 400])),
        said("Evidence: useful.", gaze([100, 200, 300, 400])),
        said("Evidence: useful.", gaze([1, 2, 30, 40], image=7)),
        ANSWER,
    ]
    out = reframed(turns, backbone)
    assert [step.error for step in out.steps] == ["bad_box", "", "repeated", "unknown_image", ""]
    assert [step.train for step in out.steps] == [True, False, True, True, True]
    note = out.messages[3].text
    assert f"frame {backbone.frame}" in note
    assert str([float(value) for value in boxes_of(out)[0]]) in note


def test_boxes_that_fall_together_are_a_reject() -> None:
    """In an image of 56 pixels two boxes that thousandths tell apart are the same one."""
    turns = [
        said("I look.", gaze([100, 100, 900, 900])),
        said("Evidence: off target.", gaze([101, 100, 900, 900])),
        ANSWER,
    ]
    made, evidence = played(turns, seed=seed_of(56, 56))
    out = reframe(made, seed_of(56, 56), evidence, EPISODE, EPISODE.in_frame(BACKBONES["qwen2.5-vl"].spec))
    assert isinstance(out, Reject)
    assert (out.reason, out.stage, out.id) == ("export.frame", "export_sft", made.trajectory_id)
    assert "turn 1 was gaze and is gaze (repeated)" in out.detail


def test_an_error_that_is_none_elsewhere_is_a_reject() -> None:
    """1006 of 1000 is beyond the slack; of 56 pixels it rounds to 56."""
    made, evidence = played([said("I look.", gaze([0, 0, 1006, 500])), ANSWER], seed=seed_of(56, 56))
    out = reframe(made, seed_of(56, 56), evidence, EPISODE, EPISODE.in_frame(BACKBONES["qwen2.5-vl"].spec))
    assert isinstance(out, Reject)
    assert "turn 0 was gaze (bad_box) and is gaze" in out.detail


def test_evidence_that_is_not_there_is_a_reject() -> None:
    made, _ = played(TURNS)
    out = reframe(made, seed_of(), {}, EPISODE, EPISODE.in_frame(BACKBONES["qwen3-vl"].spec))
    assert isinstance(out, Reject)
    assert "is not in the run" in out.detail


def test_two_calls_of_a_turn_are_both_converted() -> None:
    turn = said("I look.", gaze([100, 200, 300, 400]))
    twice = turn.model_copy(update={"tool_calls": (*turn.tool_calls, *said("", gaze([500, 500, 600, 600])).tool_calls)})
    out = reframed([twice, ANSWER], BACKBONES["qwen2.5-vl"])
    assert boxes_of(out) == [[115, 168, 344, 336], [574, 420, 689, 504]]
    assert [message.role for message in out.messages[2:]] == ["assistant", "tool", "tool", "assistant"]


def at_once(*calls: tuple[str, str]) -> Message:
    """A turn with several calls."""
    return said("I look.").model_copy(update={"tool_calls": tuple(said("", call).tool_calls[0] for call in calls)})


SEVERAL = EpisodeSettings(calls_per_turn=3)


def test_every_call_of_a_turn_is_done_again() -> None:
    looks = at_once(gaze([100, 200, 300, 400]), gaze([0, 0, 500, 500], 1), ("text_search", '{"query": "Kenya"}'))
    out = reframed([looks, ANSWER], BACKBONES["qwen2.5-vl"], SEVERAL)
    assert [(step.turn, step.action, step.error) for step in out.steps] == [
        (0, "gaze", ""),
        (0, "gaze", ""),
        (0, "text_search", ""),
        (1, "answer", ""),
    ]
    assert [message.role for message in out.messages[2:]] == ["assistant", "tool", "tool", "tool", "assistant"]
    assert [message.images for message in out.messages[3:6]] == [(i.sha256,) for i in out.images[1:]] + [()]
    assert boxes_of(out)[0] == [115, 168, 344, 336]
    trained = [message["train"] for message in trained_messages(out.messages, out.steps) if "train" in message]
    assert trained[0] is True


@pytest.mark.parametrize("wrong", [gaze([0, 0, 500, 500], 9), ("dance", "{}"), ("gaze", "{")])
def test_a_turn_with_one_call_that_is_wrong_is_not_learned(wrong: tuple[str, str]) -> None:
    out = reframed([at_once(("image_search", "{}"), wrong), ANSWER], BACKBONES["qwen3-vl"], SEVERAL)
    trained = [message["train"] for message in trained_messages(out.messages, out.steps) if "train" in message]
    assert trained[0] is False


def test_several_calls_that_do_not_match_their_record_are_a_reject() -> None:
    made, evidence = played([at_once(gaze([100, 200, 300, 400]), ("image_search", "{}")), ANSWER], SEVERAL)
    one, other, answer = made.steps
    for steps in (
        (one, answer),
        (other, one, answer),
        (one, other, other, answer),
        (one, other.model_copy(update={"turn": 1}), answer.model_copy(update={"turn": 2})),
        (one, other.model_copy(update={"evidence_ids": one.evidence_ids}), answer),
    ):
        out = reframe(made.model_copy(update={"steps": steps}), seed_of(), evidence, SEVERAL, SEVERAL)
        assert isinstance(out, Reject)
        assert out.reason == "export.frame"


def test_steps_that_do_not_match_the_turns_are_a_reject() -> None:
    made, evidence = played(TURNS)
    for broken in (
        made.model_copy(update={"steps": made.steps[:-1]}),
        made.model_copy(update={"answer": "Uganda"}),
        made.model_copy(update={"images": made.images[:2]}),
        made.model_copy(update={"steps": (made.steps[0].model_copy(update={"evidence_ids": ()}), *made.steps[1:])}),
        made.model_copy(update={"messages": (*made.messages, ANSWER), "steps": (*made.steps, made.steps[-1])}),
    ):
        out = reframe(broken, seed_of(), evidence, EPISODE, EPISODE)
        assert isinstance(out, Reject)
        assert out.reason == "export.frame"


def test_tools_without_a_box_are_left_as_they_are() -> None:
    turns = [said("I glance.", ("image_search", "{}")), ANSWER]
    made, _ = played(turns)
    out = reframed(turns, BACKBONES["qwen2.5-vl"])
    assert [step.action for step in out.steps] == ["image_search", "answer"]
    assert out.messages[2:] == made.messages[2:]


@each_backbone
def test_an_image_that_the_processor_refuses_is_a_reject(backbone: Backbone) -> None:
    made, evidence = played(TURNS, crop=(900, 4))
    out = reframe(made, seed_of(), evidence, EPISODE, EPISODE.in_frame(backbone.spec))
    assert isinstance(out, Reject)
    assert "aspect ratio above 200" in out.detail

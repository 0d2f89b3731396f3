import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lakes import EPISODE, level_of, make_seed, reflective, verdict_of

from gog.pipelines.lake import ImageFiles
from gog.prompts import render
from gog.schemas import WHOLE, EpisodeImage, ImagePart, Message, Origin, Reject, Seed, Split, TextPart, Trajectory
from gog.transforms.episode.machine import system_prompt
from gog.transforms.export import ExportSettings, SftRow, coordinates_in, rl_row, sft_row, trajectory_tokens

SETTINGS = ExportSettings()


@pytest.fixture
def images(tmp_path: Path) -> ImageFiles:
    return ImageFiles(tmp_path)


@pytest.fixture
def seed(images: ImageFiles) -> Seed:
    return make_seed(1, images)


def exported(trajectory: Trajectory, seed: Seed, settings: ExportSettings = SETTINGS) -> SftRow | Reject:
    return sft_row(trajectory, seed, verdict_of(trajectory), Split.TRAIN, settings, EPISODE)


def row_of(trajectory: Trajectory, seed: Seed) -> SftRow:
    row = exported(trajectory, seed)
    assert isinstance(row, SftRow)
    return row


class TestSftRow:
    def test_shows_the_policys_prompt_and_no_hints(self, seed: Seed, images: ImageFiles) -> None:
        made = reflective(seed, images, hints="HINT [1, 2, 3, 4]").trajectory
        assert "HINT" in made.model_dump_json()
        row = row_of(made, seed)
        messages = json.loads(row.messages)
        assert messages[0] == {"role": "system", "content": system_prompt(EPISODE)[0]}
        assert "HINT" not in row.messages
        asked = render("episode/question", width=400, height=300, question=seed.question).text
        assert messages[1]["content"] == [{"type": "image"}, {"type": "text", "text": asked}]

    def test_images_are_in_the_order_of_their_parts(self, seed: Seed, images: ImageFiles) -> None:
        made = reflective(seed, images).trajectory
        row = row_of(made, seed)
        parts = [
            part
            for message in json.loads(row.messages)
            if isinstance(message["content"], list)
            for part in message["content"]
            if part["type"] == "image"
        ]
        assert parts == [{"type": "image"}] * 3
        assert row.image_sha256 == tuple(image.sha256 for image in made.images)
        assert not any(sha256 in row.messages for sha256 in row.image_sha256)

    def test_every_turn_is_trained_in_a_rollout(self, seed: Seed, images: ImageFiles) -> None:
        assert self.flags(row_of(reflective(seed, images).trajectory, seed)) == [True, True, True, True]

    def test_a_planned_wrong_action_is_not_trained_but_the_reflection_after_it_is(
        self, seed: Seed, images: ImageFiles
    ) -> None:
        made = reflective(seed, images, origin=Origin.COMPOSE).trajectory
        assert self.flags(row_of(made, seed)) == [False, True, True, True]

    def test_a_turn_that_erred_is_not_trained(self, seed: Seed, images: ImageFiles) -> None:
        made = reflective(seed, images).trajectory
        steps = [made.steps[0].model_copy(update={"error": "bad_box"}), *made.steps[1:]]
        assert self.flags(row_of(made.model_copy(update={"steps": tuple(steps)}), seed)) == [False, True, True, True]

    def test_a_turn_of_two_calls_is_not_trained(self, seed: Seed, images: ImageFiles) -> None:
        made = reflective(seed, images).trajectory
        first = made.messages[2]
        twice = first.model_copy(update={"tool_calls": first.tool_calls * 2})
        messages = (*made.messages[:2], twice, *made.messages[3:])
        assert self.flags(row_of(made.model_copy(update={"messages": messages}), seed)) == [False, True, True, True]

    def test_only_turns_of_the_assistant_have_the_flag(self, seed: Seed, images: ImageFiles) -> None:
        messages = json.loads(row_of(reflective(seed, images).trajectory, seed).messages)
        assert {message["role"] for message in messages if "train" in message} == {"assistant"}

    def test_turns_and_steps_that_do_not_match_are_an_error(self, seed: Seed, images: ImageFiles) -> None:
        made = reflective(seed, images).trajectory
        with pytest.raises(ValueError, match="steps"):
            exported(made.model_copy(update={"steps": (*made.steps, made.steps[0])}), seed)

    def test_too_long_is_a_reject(self, seed: Seed, images: ImageFiles) -> None:
        made = reflective(seed, images).trajectory
        tokens = row_of(made, seed).estimated_tokens
        assert isinstance(exported(made, seed, ExportSettings(max_tokens=tokens)), SftRow)
        reject = exported(made, seed, ExportSettings(max_tokens=tokens - 1))
        assert isinstance(reject, Reject)
        assert (reject.reason, reject.stage, reject.unit) == ("export.too_long", "export_sft", "trajectory")
        assert (reject.id, reject.seed_id) == (made.trajectory_id, seed.seed_id)

    def test_coordinates_in_a_thought_are_a_reject(self, seed: Seed, images: ImageFiles) -> None:
        reject = exported(reflective(seed, images, thought="I look at [120, 300, 480, 620].").trajectory, seed)
        assert isinstance(reject, Reject)
        assert reject.reason == "export.coordinates_in_text"
        assert "[120, 300, 480, 620]" in reject.detail

    def test_coordinates_in_what_others_said_are_fine(self, seed: Seed, images: ImageFiles) -> None:
        made = reflective(seed, images).trajectory
        text = "The box is [120, 300, 480, 620]."
        told = made.messages[3].model_copy(update={"content": text})
        row = row_of(made.model_copy(update={"messages": (*made.messages[:3], told, *made.messages[4:])}), seed)
        assert text in row.messages

    @staticmethod
    def flags(row: SftRow) -> list[bool]:
        return [message["train"] for message in json.loads(row.messages) if message["role"] == "assistant"]


class TestTokens:
    def image(self, width: int, height: int) -> EpisodeImage:
        return EpisodeImage(sha256="a" * 64, width=width, height=height, box=WHOLE)

    def test_counts_text_by_bytes(self) -> None:
        empty = trajectory_tokens([], [], [], EPISODE)
        assert trajectory_tokens([Message(role="user", content="é" * 200)], [], [], EPISODE) - empty == 100

    def test_counts_images_as_the_processor_resizes_them(self) -> None:
        message = Message(role="user", content=(ImagePart(image="a" * 64), TextPart(text="")))
        empty = trajectory_tokens([], [], [], EPISODE)
        assert trajectory_tokens([message], [], [self.image(280, 56)], EPISODE) - empty == 20
        assert trajectory_tokens([message], [], [self.image(9000, 9000)], EPISODE) - empty == 35 * 35
        assert trajectory_tokens([message], [], [self.image(9000, 9)], EPISODE) - empty == 1280  # refused
        assert trajectory_tokens([message], [], [], EPISODE) - empty == 1280  # its size is not known

    def test_counts_calls_and_reasoning(self, seed: Seed, images: ImageFiles) -> None:
        made = reflective(seed, images).trajectory
        silent = [m.model_copy(update={"reasoning_content": None, "tool_calls": ()}) for m in made.messages]
        assert trajectory_tokens(silent, [], made.images, EPISODE) < trajectory_tokens(
            made.messages, [], made.images, EPISODE
        )


PLACES = [
    "I look at [120, 300, 480, 620].",
    "The flag is at [0.12, 0.3, 0.48, 0.62], I think.",
    "(120 300 480 620)",
    "the box is 120, 300, 480, 620",
    "bbox_2d is what I need",
    "<|box_start|>(120,300),(480,620)<|box_end|>",
    "from (120, 300) to (480, 620)",
    "it lies at (340, 220)",
    "it lies near (340,220)",
    "at (0.34, 0.22)",
    "its coordinates are 340, 220",
    "centred around the point [340, 220]",
    "x1=120, y1=300, x2=480, y2=620",
    "x: 120 and y: 300",
    "about 340 pixels from the left",
    "at pixel 340",
    "[120,\n   300,\n   480,\n   620]",
    "[12.5, 30.0, 48.5, 62.0]",
]

HARMLESS = [
    "",
    "It was founded in 1990 and dissolved in 2004.",
    "World cups were held in (1990, 1994, 1998, 2002).",
    "The score was 3:2, then 4 to 1.",
    "2 of 3 searches agree.",
    "(1) look left, (2) look right; (3) answer.",
    "There are 12 flags: 3 red, 4 blue, 5 green.",
    "I count (1, 2, 3, 4) flags.",
    "[1] Kenya | score 0.91",
    "The best hit has 0.91, the second 0.42, the third 0.40, the last 0.12.",
    "An area of 580,367 square kilometres and 47,564,296 people.",
    "Nairobi lies at 1.2864° S, 36.8172° E.",
    "Nairobi (-1.286389, 36.817223) is the capital.",
    "Paris is at (48.8566, 2.3522).",
    "coordinates of the city are 48.8566, 2.3522",
    "The picture is 1024 x 768 pixels.",
    "On May 3, 1990 (aged 45, 2 children) he left.",
    "x is unknown and y is 3.",
    "Section 4.2, page 17",
    "It opened at 10:30 and closed at 18:00.",
    "the point (2, 1) of the agenda",
    "[3, 1, 2, 0]",
    "Image 0 (400 x 300 pixels).",
    "a box with 3 flags and 12 cards",
]


class TestCoordinates:
    @pytest.mark.parametrize("text", PLACES)
    def test_finds_places(self, text: str) -> None:
        assert coordinates_in(text)

    @pytest.mark.parametrize("text", HARMLESS)
    def test_leaves_other_numbers(self, text: str) -> None:
        assert coordinates_in(text) is None

    @given(
        st.tuples(*[st.integers(0, 999)] * 4).filter(lambda b: b[0] < b[2] and b[1] < b[3] and max(b) >= 20),
        st.sampled_from(["[]", "()"]),
        st.sampled_from([", ", ",", " "]),
    )
    def test_finds_every_box_in_thousandths(self, box: tuple[int, ...], ends: str, between: str) -> None:
        assert coordinates_in(f"Look at {ends[0]}{between.join(map(str, box))}{ends[1]} now.")

    @pytest.mark.parametrize("piece", ["(1, ", "[ ", "x=1 ", "at (", "1,2,", "(1,2) ", " "])
    def test_takes_no_time_for_hostile_text(self, piece: str) -> None:
        began = time.process_time()
        assert coordinates_in(piece * 20_000) is None
        assert time.process_time() - began < 5  # a fiftieth of a second; quadratic time would be minutes


class TestRlRow:
    def test_is_how_an_episode_starts(self, seed: Seed, images: ImageFiles) -> None:
        row = rl_row(seed, level_of(seed, 1), Split.TRAIN, SETTINGS, EPISODE)
        assert not isinstance(row, Reject)
        assert json.loads(row.prompt) == [
            {key: value for key, value in message.items() if key != "train"}
            for message in json.loads(row_of(reflective(seed, images).trajectory, seed).messages)[:2]
        ]
        assert row.tools == row_of(reflective(seed, images).trajectory, seed).tools
        assert row.image_sha256 == (seed.image_sha256,)

    def test_the_prompt_holds_no_answer_and_no_entity(self, images: ImageFiles) -> None:
        seed = make_seed(1, images, answers=("Xanadu",), entity="Zembla", extra={"fact": "Zembla"})
        row = rl_row(seed, level_of(seed, 2), Split.TRAIN, SETTINGS, EPISODE)
        assert not isinstance(row, Reject)
        assert row.answers == ("Xanadu",)
        assert "Xanadu" not in row.prompt
        assert "Zembla" not in repr(row)

    def test_a_level_that_is_not_wanted_is_a_reject(self, seed: Seed) -> None:
        reject = rl_row(seed, level_of(seed, 0), Split.TRAIN, SETTINGS, EPISODE)
        assert isinstance(reject, Reject)
        assert (reject.reason, reject.stage, reject.unit) == ("export.level", "export_rl", "seed")
        wanted = ExportSettings(levels=(0,))
        assert not isinstance(rl_row(seed, level_of(seed, 0), Split.TRAIN, wanted, EPISODE), Reject)

    def test_a_range_stays(self, images: ImageFiles) -> None:
        seed = make_seed(1, images, answer_type="number", answer_unit="km²", answer_low=1.0, answer_high=2.0)
        row = rl_row(seed, level_of(seed, 1), Split.VALIDATION, SETTINGS, EPISODE)
        assert not isinstance(row, Reject)
        assert (row.answer_type, row.answer_unit, row.answer_low, row.answer_high) == ("number", "km²", 1.0, 2.0)
        assert row.split is Split.VALIDATION

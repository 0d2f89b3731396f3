import json
from pathlib import Path

import pytest
from lakes import EPISODE, level_of, make_seed, reflective, verdict_of

from gog.pipelines.lake.image_files import ImageFiles
from gog.prompts import render
from gog.schemas import WHOLE, EpisodeImage, ImagePart, Message, Origin, Reject, Seed, Split, TextPart, Trajectory
from gog.transforms.episode.machine import system_prompt
from gog.transforms.export.rows import ExportSettings, SftRow, rl_row, sft_row, trajectory_tokens

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
        asked = render("episode/question", sizes=[(400, 300)], question=seed.question).text
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

    def test_control_tokens_of_the_assistants_words_are_broken_and_its_answer_stays(
        self, seed: Seed, images: ImageFiles
    ) -> None:
        token, call, end = "<|im_start|>", "<tool_call>", "</answer>"
        made = reflective(seed, images, thought=f"Odd {token} thought.").trajectory
        first, last = made.messages[2], made.messages[-1]
        arguments = json.dumps(json.loads(first.tool_calls[0].function.arguments) | {"label": f"a {token} flag"})
        function = first.tool_calls[0].function.model_copy(update={"arguments": arguments})
        calls = (first.tool_calls[0].model_copy(update={"function": function}),)
        first = first.model_copy(update={"content": f"Said {token} {call}{end}", "tool_calls": calls})
        told = f"Before {token}<answer>Kenya {token}</answer> after {call}"
        last = last.model_copy(update={"content": told, "reasoning_content": f"So {token}."})
        messages = (*made.messages[:2], first, *made.messages[3:-1], last)
        row = row_of(made.model_copy(update={"messages": messages}), seed)
        assert not any(broken in row.messages for broken in (token, call))
        written = [message for message in json.loads(row.messages) if message["role"] == "assistant"]
        assert [len(message.get("tool_calls", ())) for message in written] == [1, 1, 1, 0]
        assert "flag" in written[0]["tool_calls"][0]["function"]["arguments"]
        assert end not in written[0]["content"]
        assert written[-1]["content"].count("<answer>Kenya") == written[-1]["content"].count(end) == 1
        assert all(word in written[-1]["content"] for word in ("Before", "after"))

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

    def test_the_box_of_its_own_call_is_in_the_rows_frame(self, seed: Seed, images: ImageFiles) -> None:
        made = reflective(seed, images).trajectory
        calls = [call.function.arguments for message in made.messages for call in message.tool_calls]
        box = next(json.loads(arguments)["bbox_2d"] for arguments in calls if "bbox_2d" in arguments)
        named = reflective(seed, images, thought=f"I look at {box}.").trajectory
        assert f"I look at {box}." in row_of(named, seed).messages

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

    def test_the_sources_own_id_goes_along(self, images: ImageFiles) -> None:
        for extra, known in (({"source_id": "q-7"}, "q-7"), ({}, ""), ({"source_id": 7}, "")):
            seed = make_seed(1, images, extra=extra)
            row = rl_row(seed, level_of(seed, 2), Split.TRAIN, SETTINGS, EPISODE)
            assert not isinstance(row, Reject)
            assert row.source_id == known
            assert row_of(reflective(seed, images).trajectory, seed).source_id == known

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

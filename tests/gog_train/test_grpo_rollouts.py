"""Rollouts of tiny models in TRL's trainer: masks, log-probabilities, masked rollouts, dropped images, resampling."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from families import FAMILIES, GLM, NEWER, SQUARE
from rolling import CUT, answer, call, make_trainer, seed, services
from training import small

from gog.schemas import FailureClass
from gog.transforms.dialect.backbones import BACKBONES, Backbone
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.services.protocols import ServiceError
from gog.transforms.verify.judge import JudgeQuestion, JudgeReply, Ruling
from gog_train.environment import Ending
from gog_train.judge_health import JudgeIllError
from gog_train.rewards.scoring import Scored
from gog_train.rewards.terms import RewardSettings
from gog_train.settings import TrainingError

QWEN3 = BACKBONES["qwen3-vl"]

GAZE = call("gaze", bbox_2d=[10, 10, 90, 90], label="it", image=0)
TURNS = [GAZE, call("text_search", query="capital of Kenya"), answer("Nairobi")]


def recording(trainer: type[Any]) -> type[Any]:
    """Keeps what a step was made of."""

    class Recording(trainer):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            self.generated: list[Any] = []
            self.batches: list[dict[str, Any]] = []
            self.logps: list[Any] = []
            super().__init__(*arguments, **more)

        def _generate(self, prompts: Any) -> Any:
            self.generated.append(super()._generate(prompts))
            return self.generated[-1]

        def _scored_batch(self, inputs: Any) -> Any:
            scored = super()._scored_batch(inputs)
            self.batches.append(scored[0])
            return scored

        def _generate_and_score_completions(self, inputs: Any) -> Any:
            self.last = super()._generate_and_score_completions(inputs)
            return self.last

        def _get_per_token_logps_and_entropies(self, *arguments: Any, **more: Any) -> Any:
            found = super()._get_per_token_logps_and_entropies(*arguments, **more)
            self.logps.append((arguments[1], found[0].detach().clone()))
            return found

    return Recording


@pytest.mark.parametrize("name", [*FAMILIES, SQUARE[0]])
def test_the_mask_tells_the_policys_tokens_from_the_tools(name: str, tmp_path: Path) -> None:
    family = small(name)

    def script(number: int, turn: int) -> str:
        return TURNS[turn] if number else answer("Nairobi")

    with services(tmp_path / "store") as made:
        trainer = make_trainer(family, made, tmp_path, script=script, kind=recording)
        trainer.train()
        _, completions, masks, messages, _, _, images, told = trainer.generated[0]
    decode = trainer._tokenizer.decode
    opening = "" if trainer.setup.opened else "<think>\n"
    for number, (ids, mask) in enumerate(zip(completions, masks, strict=True)):
        said = decode([token for token, own in zip(ids, mask, strict=True) if own])
        heard = decode([token for token, own in zip(ids, mask, strict=True) if not own])
        turns = TURNS if number else TURNS[-1:]
        assert said == "".join(f"{opening}{turn}{family.end_of_turn}" for turn in turns)
        assert "<tool_call>" not in heard
        assert heard.count("<tool_response>") == len(turns) - 1
        assert ("Image 1: the crop" in heard) == (family.placeholders[0] in heard) == bool(number)
        assert len(images[number]) == 1 + bool(number)
        assert len(told[number]) == bool(number)
        assert [message["role"] for message in messages[number]] == [
            "assistant",
            *["tool", "assistant"] * (len(turns) - 1),
        ]
    log = trainer.state.log_history[0]
    assert log["reward/accuracy"] == 1
    assert log["reward/format"] == 1
    assert log["searches/gaze"] == 0.75
    assert log["behaviour/direct"] == 0.25
    assert log["ended/answered"] == 1


def test_a_question_about_two_pictures(small_backbone: Backbone, tmp_path: Path) -> None:
    turns = [call("gaze", bbox_2d=[10, 10, 90, 90], label="it", image=1), answer("Nairobi")]
    with services(tmp_path / "store") as made:
        trainer = make_trainer(
            small_backbone,
            made,
            tmp_path,
            script=lambda _, turn: turns[turn],
            kind=recording,
            episode=EpisodeSettings(question_images=2),
            seeds=[seed(more=[(400, 300)])],
        )
        trainer.train()
        prompts, completions, masks, _, _, _, images, told = trainer.generated[0]
    decode = trainer._tokenizer.decode
    for number, (ids, mask) in enumerate(zip(completions, masks, strict=True)):
        asked = decode(prompts[number])
        assert asked.index("Image 0 (") < asked.index("Image 1 (")
        assert asked.count("<|vision_start|>") == 2
        heard = decode([token for token, own in zip(ids, mask, strict=True) if not own])
        assert "Image 2: the crop" in heard
        assert [len(images[number]), len(told[number])] == [3, 1]
    assert trainer.state.log_history[0]["reward/accuracy"] == 1


def test_the_mask_of_a_turn_with_several_calls(small_backbone: Backbone, tmp_path: Path) -> None:
    """The policy's turn is one stretch of its own tokens; what answers its calls, pictures and all, is not learned."""
    corner = call("gaze", bbox_2d=[0, 0, 50, 50], label="a corner", image=1).partition("<tool_call>")[2]
    turns = [f"{GAZE}\n<tool_call>{corner}", call("text_search", query="capital of Kenya"), answer("Nairobi")]

    with services(tmp_path / "store") as made:
        episode = EpisodeSettings(calls_per_turn=2)
        trainer = make_trainer(
            small_backbone, made, tmp_path, script=lambda _, turn: turns[turn], kind=recording, episode=episode
        )
        trainer.train()
        _, completions, masks, messages, _, _, images, told = trainer.generated[0]
    decode = trainer._tokenizer.decode
    opening = "" if trainer.setup.opened else "<think>\n"
    for number, (ids, mask) in enumerate(zip(completions, masks, strict=True)):
        said = decode([token for token, own in zip(ids, mask, strict=True) if own])
        heard = decode([token for token, own in zip(ids, mask, strict=True) if not own])
        assert said == "".join(f"{opening}{turn}<|im_end|>" for turn in turns)
        assert "<tool_call>" not in heard
        assert heard.count("<tool_response>") == 3
        assert heard.index("Image 1: the crop") < heard.index("Image 2: the crop") < heard.index("text_search found")
        assert heard.count("<|vision_start|>") == len(told[number]) == len(images[number]) - 1 == 2
        assert [message["role"] for message in messages[number]][:4] == ["assistant", "tool", "tool", "assistant"]
    log = trainer.state.log_history[0]
    assert log["reward/format"] == 1
    assert log["searches/gaze"] == 2


@pytest.mark.parametrize("crops", [True, False])
@pytest.mark.parametrize(
    "name", [*FAMILIES, *(pytest.param(name, marks=pytest.mark.slow) for name in (*NEWER, *SQUARE, *GLM))]
)
def test_log_probabilities_are_those_of_each_sequence_alone(name: str, crops: bool, tmp_path: Path) -> None:
    """TRL makes what the model takes in two ways: where a tool gave a picture back in a batch, and where none did."""
    import torch

    def script(number: int, turn: int) -> str:
        turns = TURNS[number % 3 if crops else 1 + number % 2 :]
        return turns[turn]

    with services(tmp_path / "store") as made:
        seeds = [seed(0), seed(9, width=200, height=400)]
        trainer = make_trainer(
            small(name),
            made,
            tmp_path,
            script=script,
            kind=recording,
            seeds=seeds,
            learning_rate=0.0,
            per_device_train_batch_size=8,
            steps_per_generation=1,
        )
        with torch.no_grad():
            for layer, weights in trainer.model.named_parameters():
                if weights.dim() > 1 and "lora" not in layer:
                    weights.mul_(6)  # fresh weights are near uniform: wrong inputs would hardly show
        trainer.train()
    model = trainer.accelerator.unwrap_model(trainer.model).eval()
    prompts, completions, images = (trainer.generated[0][place] for place in (0, 1, 6))
    _, found = trainer.logps[0]
    family = small(name)
    pad = trainer._tokenizer.convert_tokens_to_ids(family.placeholders[0])
    assert {len(one) for one in images} == ({1, 2} if crops else {1})
    assert len({len(prompt) for prompt in prompts}) == 2, "the shorter one is padded"
    for number, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        ids = torch.tensor([[*prompt, *completion]])
        made = trainer.processing_class.image_processor(images=images[number], return_tensors="pt")
        pixels = {key: made[key] for key in family.inputs}
        with torch.no_grad():
            inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            inputs |= {family.marks: (ids == pad).int()} if family.marks else {}
            alone = model(**inputs, **pixels).logits[0].float().log_softmax(-1)
            blind = model(**inputs, **(pixels | {"pixel_values": -pixels["pixel_values"]})).logits[0].log_softmax(-1)
        count = len(completion)
        chosen = [logps[-count - 1 : -1].gather(1, ids[0, -count:, None])[:, 0] for logps in (alone, blind)]
        assert (chosen[0] - found[number, :count]).abs().max() < 1e-4
        assert (chosen[0] - chosen[1]).abs().max() > 1e-2, "the images matter"


def test_what_says_nothing_of_the_policy_is_out_of_the_loss(small_backbone: Backbone, tmp_path: Path) -> None:
    def script(number: int, turn: int) -> str:
        return [answer("Nairobi"), answer("Mombasa"), "I think and think" + CUT, call("text_search", query="x")][number]

    with services(tmp_path / "store") as made:
        trainer = make_trainer(small_backbone, made, tmp_path, script=script, kind=recording)
        trainer.train()
    (batch,) = trainer.batches
    assert [one.masked for one in trainer.scored] == ["", "", "overlong", "out_of_turns"]
    assert [bool(row.any()) for row in batch["tool_mask"] * batch["completion_mask"]] == [True, True, False, False]
    assert batch["advantages"].tolist() == pytest.approx([0.707, -0.707, 0, 0], abs=1e-2)


def test_of_what_came_to_no_end_the_last_turn_is_out_and_none_is_pushed_down(
    small_backbone: Backbone, tmp_path: Path
) -> None:
    """With one right, one wrong: the two that were cut off are the worst of the group and are not made less likely."""

    def script(number: int, turn: int) -> str:
        cut = [call("text_search", query="capital"), "I think and think" + CUT]
        return [[answer("Nairobi")], [answer("Mombasa")], cut, cut][number][turn]

    reward = RewardSettings(unfinished="prefix", format_weight=0.5)
    with services(tmp_path / "store") as made:
        trainer = make_trainer(small_backbone, made, tmp_path, script=script, kind=recording, setup={"reward": reward})
        trainer.train()
    (batch,) = trainer.batches
    assert [one.prefix for one in trainer.scored] == [False, False, True, True]
    assert [one.reward for one in trainer.scored] == [1, 0.5, 0, 0]
    advantages = batch["advantages"].tolist()
    assert advantages[0] > advantages[1] > 0 == advantages[2] == advantages[3]
    decode = trainer._tokenizer.decode
    own = (batch["tool_mask"] * batch["completion_mask"]).bool()
    learned = decode(batch["completion_ids"][2][own[2]])
    assert "text_search" in learned
    assert "I think" not in learned
    assert "I think" in decode(batch["completion_ids"][2])


def test_a_judge_that_fails_masks_and_never_pays_zero(tmp_path: Path) -> None:
    asked = []

    async def judge(question: JudgeQuestion) -> JudgeReply:
        asked.append(question.candidate)
        if question.candidate == "the third":
            raise ServiceError(FailureClass.TIMEOUT, "no answer")
        return JudgeReply(Ruling.UNKNOWN if question.candidate == "the fourth" else Ruling.NO)

    answers = ["Nairobi", "the second", "the third", "the fourth"]
    with services(tmp_path / "store", judge=judge) as made:
        trainer = make_trainer(QWEN3, made, tmp_path, script=lambda n, turn: answer(answers[n]), kind=recording)
        trainer.train()
    (batch,) = trainer.batches
    assert sorted(asked) == sorted(answers[1:]), "a rule settles what it can"
    assert [one.masked for one in trainer.scored] == ["", "", "judge", "judge"]
    assert [one.reward for one in trainer.scored] == [1.0, pytest.approx(0.1), None, None]
    assert batch["advantages"].tolist() == pytest.approx([0.707, -0.707, 0, 0], abs=1e-2)
    assert batch["tool_mask"][2:].sum() == 0
    assert trainer.state.log_history[0]["masked/judge"] == 0.5


def test_an_ill_judge_stops_the_training(tmp_path: Path) -> None:
    async def judge(question: JudgeQuestion) -> JudgeReply:
        raise ServiceError(FailureClass.SERVER, "down")

    with services(tmp_path / "store", judge=judge) as made:
        trainer = make_trainer(QWEN3, made, tmp_path, script=lambda n, turn: answer("Mombasa"), max_steps=20)
        with pytest.raises(JudgeIllError, match="answered 0% of its last 20 questions"):
            trainer.train()
    assert trainer.state.global_step == 4


def test_a_dropped_image_raises(tmp_path: Path) -> None:
    with services(tmp_path / "store") as made:
        trainer = make_trainer(QWEN3, made, tmp_path, script=lambda n, turn: TURNS[turn])
        append = trainer._append

        def losing(tokens: Any, messages: Any) -> bool:
            going: bool = append(tokens, messages)
            if len(tokens.told_images) == 1 and tokens.rollout.episode.turns == 2:
                tokens.told_images.clear()
            return going

        trainer._append = losing
        with pytest.raises(TrainingError, match="an image was dropped or cut"):
            trainer.train()


def test_groups_without_signal_give_way_to_others(small_backbone: Backbone, tmp_path: Path) -> None:
    """Questions of the even numbers are answered right by all; the rest by every other rollout."""

    seeds = [seed(number, width=100 + 40 * number, height=120) for number in range(4)]
    numbers = {one.question: number for number, one in enumerate(seeds)}
    with services(tmp_path / "store") as made:
        trainer = make_trainer(
            small_backbone,
            made,
            tmp_path,
            script=lambda n, turn: "",
            kind=recording,
            seeds=seeds,
            setup={"resample": 3},
            per_device_train_batch_size=8,
        )

        def script(number: int, turn: int) -> str:
            question = trainer.environments[number].rollout.gold.question
            easy = numbers[question] % 2 == 0
            return [GAZE, answer("Nairobi")][turn] if easy else answer("Nairobi" if number % 2 else "Mombasa")

        trainer.script = script
        trainer.train()
    batch = trainer.last
    assert [alive(one) for one in (trainer.batches[0], batch)] == [[False, True], [True, True]]
    assert len(trainer.batches) > 1
    assert {key: value.shape[0] for key, value in batch.items() if key in ("prompt_ids", "completion_ids")} == {
        "prompt_ids": 8,
        "completion_ids": 8,
    }
    assert sum(batch["num_images"]) == len(batch["image_grid_thw"])
    assert not [key for key in batch if "token_type" in key], "marks are made where the model is asked"
    pad, merge = trainer._image_pad_token_id, 4
    shown = torch_count(batch, pad)
    features = [int(grid.prod()) // merge for grid in batch["image_grid_thw"]]
    assert shown == features, "each row kept its own images"
    seen = int((batch["completion_mask"] * batch["tool_mask"]).sum())
    assert int(batch["num_items_in_batch"]) == seen
    log = trainer.state.log_history[0]
    assert log["resampled/dull_groups"] == 0.5
    assert log["grad_norm"] > 0


def alive(batch: dict[str, Any]) -> list[bool]:
    """Which groups of four have advantages."""
    return [bool(group) for group in batch["advantages"].view(-1, 4).abs().amax(1) > 1e-6]


def torch_count(batch: dict[str, Any], token: int) -> list[int]:
    """Image tokens of each row, which shows one image."""
    import torch

    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    return [int(count) for count in (ids == token).sum(1)]


def rigged(trainer: type[Any]) -> type[Any]:
    """Pays for tokens of the lower half of the vocabulary, whatever they say."""

    class Rigged(trainer):
        scored: list[Scored]

        def pay(self, *, completion_ids: Any, **more: Any) -> list[float]:
            super().pay(**more)
            half = len(self._tokenizer) // 2
            paid = [sum(token < half for token in ids) / len(ids) for ids in completion_ids]
            self.scored = [
                replace(one, ending=Ending.ANSWERED, reward=reward, masked="")
                for one, reward in zip(self.scored, paid, strict=True)
            ]
            self.history = [*getattr(self, "history", []), sum(paid) / len(paid)]
            return paid

    return Rigged


@pytest.mark.slow
def test_a_rigged_reward_moves_the_policy_towards_it(small_backbone: Backbone, tmp_path: Path) -> None:
    import torch

    with services(tmp_path / "store") as made:
        trainer = make_trainer(
            small_backbone,
            made,
            tmp_path,
            kind=rigged,
            seeds=[seed(0, width=120, height=120)],
            episode=EpisodeSettings(tools=()),
            max_steps=12,
            learning_rate=1e-2,
            per_device_train_batch_size=16,
            num_generations=16,
            generation_kwargs={"max_new_tokens": 6},
        )
        with torch.no_grad():  # fresh weights are near uniform, whatever an adapter does
            trainer.accelerator.unwrap_model(trainer.model).get_output_embeddings().weight.mul_(20)
        trainer.train()
    before, after = sum(trainer.history[:3]) / 3, sum(trainer.history[-3:]) / 3
    assert after > before + 0.2, trainer.history

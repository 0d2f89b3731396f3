"""Rollouts of tiny models in TRL's trainer: masks, log-probabilities, masked rollouts, dropped images, resampling."""

from pathlib import Path
from typing import Any

import pytest
from rolling import CUT, answer, call, make_trainer, seed, services

from gog.transforms.backbones import Backbone

GAZE = call("gaze", bbox_2d=[10, 10, 90, 90], label="it", image=0)
TURNS = [GAZE, call("text_search", query="capital of Kenya"), answer("Nairobi")]


def recording(trainer: type[Any]) -> type[Any]:
    """Keeps what a step was made of."""

    class Recording(trainer):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **more: Any) -> None:
            self.generated: list[Any] = []
            self.batches: list[dict[str, Any]] = []
            self.logps: list[Any] = []
            super().__init__(*arguments, **more)

        def _generate(self, prompts: Any) -> Any:
            self.generated.append(super()._generate(prompts))
            return self.generated[-1]

        def _scored_batch(self, inputs: Any) -> Any:
            self.batches.append(super()._scored_batch(inputs))
            return self.batches[-1]

        def _get_per_token_logps_and_entropies(self, *arguments: Any, **more: Any) -> Any:
            found = super()._get_per_token_logps_and_entropies(*arguments, **more)
            self.logps.append((arguments[1], found[0].detach().clone()))
            return found

    return Recording


def test_the_mask_tells_the_policys_tokens_from_the_tools(small_backbone: Backbone, tmp_path: Path) -> None:
    def script(number: int, turn: int) -> str:
        return TURNS[turn] if number else answer("Nairobi")

    with services(tmp_path / "store") as made:
        trainer = make_trainer(small_backbone, made, tmp_path, script=script, kind=recording)
        trainer.train()
        _, completions, masks, messages, _, _, images, told = trainer.generated[0]
    decode = trainer._tokenizer.decode
    opening = "" if trainer.setup.opened else "<think>\n"
    for number, (ids, mask) in enumerate(zip(completions, masks, strict=True)):
        said = decode([token for token, own in zip(ids, mask, strict=True) if own])
        heard = decode([token for token, own in zip(ids, mask, strict=True) if not own])
        turns = TURNS if number else TURNS[-1:]
        assert said == "".join(f"{opening}{turn}<|im_end|>" for turn in turns)
        assert "<tool_call>" not in heard
        assert heard.count("<tool_response>") == len(turns) - 1
        assert ("Image 1: the crop" in heard) == ("<|image_pad|>" in heard) == bool(number)
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


def test_log_probabilities_are_those_of_each_sequence_alone(small_backbone: Backbone, tmp_path: Path) -> None:
    import torch

    def script(number: int, turn: int) -> str:
        turns = TURNS[number % 3 :]
        return turns[turn]

    with services(tmp_path / "store") as made:
        seeds = [seed(0), seed(3, width=200, height=400)]
        trainer = make_trainer(
            small_backbone,
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
            for name, weights in trainer.model.named_parameters():
                if weights.dim() > 1 and "lora" not in name:
                    weights.mul_(6)  # fresh weights are near uniform: wrong inputs would hardly show
        trainer.train()
    model = trainer.accelerator.unwrap_model(trainer.model).eval()
    prompts, completions, images = (trainer.generated[0][place] for place in (0, 1, 6))
    _, found = trainer.logps[0]
    pad = trainer._tokenizer.convert_tokens_to_ids("<|image_pad|>")
    assert {len(one) for one in images} == {1, 2}
    for number, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        ids = torch.tensor([[*prompt, *completion]])
        pixels = trainer.processing_class.image_processor(images=images[number], return_tensors="pt")
        with torch.no_grad():
            inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "mm_token_type_ids": (ids == pad).int()}
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

"""GRPO over a colocated vLLM: TRL's own `VLLMGeneration` with a stand-in for vLLM's `LLM`, and what it would see.

`make test-vllm` has the real one.
"""

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rolling import answer, call, make_trainer, seed, services

from gog.transforms.dialect.backbones import Backbone

GAZE = call("gaze", bbox_2d=[10, 10, 90, 90], label="it", image=0)
TURNS = [GAZE, call("text_search", query="capital of Kenya"), answer("Nairobi")]


class StandIn:
    """Puts each image's tokens in the place of the next image token, as vLLM does with prompts of token ids."""

    def __init__(self, trainer: Any, off_by: float) -> None:
        self.trainer, self.off_by = trainer, off_by
        self.llm_engine = SimpleNamespace(model_config=SimpleNamespace(max_model_len=16384))
        self.seen: list[tuple[list[int], list[int], list[int]]] = []
        """Of each prompt what its images make, the runs of image tokens that came, and those that came of them."""

    def generate(self, prompts: Any, sampling_params: Any, use_tqdm: bool) -> Any:
        return [self._reply(number, prompt) for number, prompt in enumerate(prompts)]

    def _reply(self, number: int, prompt: Any) -> Any:
        trainer, images = self.trainer, prompt["multi_modal_data"]["image"]
        images = images if isinstance(images, list) else [images]
        sizes = [trainer.setup.backbone.visual_tokens(*image.size) for image in images]
        left, expanded = list(sizes), []
        for token in prompt["prompt_token_ids"]:
            image = token == trainer._image_pad_token_id and left
            expanded += [token] * left.pop(0) if image else [token]
        self.seen.append((sizes, self._runs(prompt["prompt_token_ids"]), self._runs(expanded)))
        going = trainer.going[number]
        ids = trainer.tokens_of(going, trainer.environments[going].rollout.episode.turns)
        logps = [{token: SimpleNamespace(rank=1, logprob=self.off_by)} for token in ids]
        return SimpleNamespace(prompt_token_ids=expanded, outputs=[SimpleNamespace(token_ids=ids, logprobs=logps)])

    def _runs(self, ids: list[int]) -> list[int]:
        groups = itertools.groupby(ids, lambda token: token == self.trainer._image_pad_token_id)
        return [len(list(group)) for image, group in groups if image]


def colocated(trainer: Any, off_by: float, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The trainer as TRL makes it where vLLM is there."""
    from trl.generation import vllm_generation

    monkeypatch.setattr(vllm_generation, "SamplingParams", lambda **values: values, raising=False)
    generation = vllm_generation.VLLMGeneration.__new__(vllm_generation.VLLMGeneration)
    values: dict[str, Any] = {
        "model": trainer.model,
        "accelerator": trainer.accelerator,
        "processing_class": trainer.processing_class,
        "mode": "colocate",
        "tensor_parallel_size": 1,
        "repetition_penalty": 1.0,
        "temperature": 1.0,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": None,
        "max_completion_length": 3000,
        "logprobs": 0,
        "generation_kwargs": {},
        "structured_outputs_regex": None,
        "enable_sleep_mode": False,
        "sync_weights": lambda: None,
    }
    for name, value in values.items():
        setattr(generation, name, value)
    generation.llm = StandIn(trainer, off_by)
    trainer.vllm_generation, trainer.use_vllm, trainer.vllm_mode = generation, True, "colocate"
    trainer._last_loaded_step = -1
    trainer.vllm_importance_sampling_correction = True
    trainer.vllm_importance_sampling_mode = "token_truncate"
    trainer.vllm_importance_sampling_clip_max, trainer.vllm_importance_sampling_clip_min = 2.0, None
    stand_in: StandIn = generation.llm
    return stand_in


def test_vllm_makes_of_every_image_as_many_tokens_as_the_trainer(
    small_backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several images a prompt: of expanded ones it would make more, and text of a crop's."""

    def script(number: int, turn: int) -> str:
        return TURNS[turn] if number else answer("Mombasa")

    with services(tmp_path / "store") as made:
        trainer = make_trainer(small_backbone, made, tmp_path, script=script, seeds=[seed(0, width=300, height=200)])
        stand_in = colocated(trainer, -1.0, monkeypatch)
        trainer.train()
    assert max(len(sizes) for sizes, _, _ in stand_in.seen) == 2
    assert all(sent == [1] * len(sizes) for sizes, sent, _ in stand_in.seen)
    assert all(after == sizes for sizes, _, after in stand_in.seen)
    log = trainer.state.log_history[0]
    assert log["sampling/importance_sampling_ratio/max"] <= 2.0
    assert 0 < log["sampling/effective_share"] <= 1
    assert log["groups/with_signal"] == 1

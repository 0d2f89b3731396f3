"""Memory as it is estimated: the counted parts are exact, the others grow with what they depend on."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import tiny_models

from gog.transforms.dialect.backbones import BACKBONES
from gog_train.grpo_settings import GrpoSettings
from gog_train.memory import ADAM, TILE, Memory, Shape, disk_of, memory_of, shape_of
from gog_train.sft import SftSettings

QWEN = Shape(8_290_000_000, 20_000_000, 28, 3584, 18944, 512, 152064)
"""Qwen2.5-VL-7B, by its config."""
H100 = 80 * 10**9


def sft(**changes: Any) -> SftSettings:
    return SftSettings.model_validate({"model": "m", "export": "e", "output": "o"} | changes)


def grpo(**changes: Any) -> GrpoSettings:
    return GrpoSettings.model_validate({"model": "m", "export": "e", "output": "o"} | changes)


@pytest.mark.parametrize("vision", [False, True])
def test_parameters_are_counted_as_peft_makes_them(backbone: str, checkpoints: dict[str, Path], vision: bool) -> None:
    from peft import LoraConfig, get_peft_model

    settings = sft(model=str(checkpoints[backbone]), train_vision=vision, lora_rank=3)
    shape = shape_of(settings)
    model = tiny_models.model(backbone)
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())
    adapted = get_peft_model(model, LoraConfig(r=3, target_modules=BACKBONES[backbone].layers(vision=vision)))
    assert shape.trained == sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    assert (shape.layers, shape.hidden, shape.key_values) == (2, 64, 32)


def test_a_7b_model_fits_where_it_does_and_not_where_it_does_not() -> None:
    """The paper's SFT of a 7B model on one GPU of 80 GB, with checkpointing; not without, nor on a GPU of 24 GB."""
    memory = memory_of(QWEN, sft(), 1, H100)
    assert memory.weights == 2 * QWEN.parameters
    assert memory.adapter == ADAM * QWEN.trained
    assert 24 * 10**9 < memory.total < H100
    assert memory_of(QWEN, sft(gradient_checkpointing="off"), 1, H100).total > H100


@pytest.mark.parametrize(
    ("settings", "more", "part"),
    [
        (sft(), sft(max_length=32768), "activations"),
        (sft(), sft(max_length=32768), "logits"),
        (sft(), sft(device_batch_size=2), "activations"),
        (sft(), sft(precision="fp32"), "weights"),
        (grpo(), grpo(rollouts=8), "generation"),
        (grpo(), grpo(context=32768), "logits"),
        (grpo(max_tokens=1024), grpo(max_tokens=2048), "logits"),
        (grpo(vllm="server"), grpo(vllm="colocate"), "generation"),
    ],
)
def test_what_is_more_takes_more(settings: Any, more: Any, part: str) -> None:
    less, larger = (memory_of(QWEN, one, 4, H100) for one in (settings, more))
    assert getattr(larger, part) > getattr(less, part)
    assert larger.total > less.total


def test_logits_are_held_by_the_tile() -> None:
    """As TRL's fused head does it: neither the length of a row nor the vocabulary makes them large."""
    from trl.kernels.chunked_logprob import TOKEN_CHUNK_SIZE
    from trl.trainer.utils import _CHUNKED_LOGPROB_CHUNK_SIZE

    assert TILE == (TOKEN_CHUNK_SIZE, _CHUNKED_LOGPROB_CHUNK_SIZE)
    assert memory_of(QWEN, sft(), 1, H100).logits < 10**9
    small = Shape(QWEN.parameters, QWEN.trained, 28, 3584, 18944, 512, 50000)
    assert memory_of(small, sft(), 1, H100).logits == memory_of(QWEN, sft(), 1, H100).logits


def test_rollouts_are_shared_by_the_devices() -> None:
    def on(devices: int) -> Memory:
        return memory_of(QWEN, grpo(), devices, H100)

    assert on(8).generation * 8 == on(1).generation
    assert memory_of(QWEN, grpo(vllm="colocate", vllm_memory=0.25), 8, H100).generation == H100 // 4


def test_vllm_needs_room_for_weights_and_a_rollout() -> None:
    small = memory_of(QWEN, grpo(vllm="colocate"), 8, 40 * 10**9)
    assert small.engine > small.generation
    large = memory_of(QWEN, grpo(vllm="colocate"), 8, H100)
    assert large.engine < large.generation
    assert large.total == sum(asdict(large).values()) - large.engine
    assert memory_of(QWEN, grpo(vllm="colocate", context=65536), 8, H100).engine > large.engine
    assert memory_of(QWEN, grpo(vllm="server"), 8, H100).engine == 0


def test_a_whole_model_is_counted_in_single_precision_with_the_reference_of_its_kl(
    checkpoints: dict[str, Path],
) -> None:
    settings = grpo(model=str(checkpoints["qwen3-vl"]), tune="full")
    shape = shape_of(settings)
    names = [name for name, _ in tiny_models.model("qwen3-vl").named_parameters()]
    assert any("visual" in name for name in names)
    assert shape.parameters * 0.3 < shape.trained < shape.parameters
    with_reference, without = memory_of(shape, settings, 1, H100), memory_of(shape, grpo(tune="full", kl=0), 1, H100)
    assert without.weights == (shape.parameters - shape.trained) * 4
    assert with_reference.weights - without.weights == shape.parameters * 4
    assert with_reference.adapter == ADAM * shape.trained


def test_a_whole_model_takes_its_room_on_the_disk() -> None:
    adapter, both = (disk_of(QWEN, sft(save=save), single=False) for save in ("adapter", "both"))
    assert both - adapter == 2 * QWEN.parameters
    assert disk_of(QWEN, sft(keep=9), single=False) > adapter

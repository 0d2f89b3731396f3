"""How much memory a training takes on each device: a rough number, from the model's shape and the settings.

Parameters are counted, the rest is by rule: what a layer keeps for its backward pass, the tile of logits that TRL's
fused head holds at a time, the optimiser's two numbers a weight. Not counted: the vision tower's passing activations,
the matrices of an attention that is not fused (a CPU's), fragments, what other programs hold.

torch and transformers are imported inside of the functions.
"""

import math
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from gog_train.grpo_settings import GrpoSettings
from gog_train.processors import backbone_of, base_of
from gog_train.settings import TrainSettings
from gog_train.sft import SftSettings
from gog_train.stages import LANGUAGE_MODEL

OVERHEAD: Final = 3 << 29
"""Bytes of a CUDA context with its libraries' workspaces."""
ADAM: Final = 16
"""Bytes of a trained weight: itself, its gradient and two moments, in single precision."""


ENGINE: Final = 3 * 10**9
"""Bytes that vLLM takes beside weights, keys and values: activations, the vision tower's, CUDA graphs."""

TILE: Final = (4096, 32768)
"""Tokens and words of the logits that TRL's trainers hold at a time (trl.kernels.chunked_logprob)."""
CPU_TILES: Final = 8
"""Copies of a tile where no Triton kernel folds it in place; measured."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a model decides its memory."""

    parameters: int
    trained: int
    """Parameters of the adapter, or those of the model that are trained."""
    layers: int
    hidden: int
    intermediate: int
    key_values: int
    """Width of the keys of a layer, and of its values."""
    vocabulary: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on each device, at the peak."""

    weights: int
    adapter: int
    """With its gradients and the optimiser's moments."""
    activations: int
    logits: int
    """The tile, and the gradient of what goes into the head."""
    generation: int
    """Keys and values of the rollouts of a step, or what vLLM takes."""
    overhead: int
    engine: int = 0
    """What a colocated vLLM needs of its share at the least: weights, one rollout's keys and values, its own."""

    @property
    def total(self) -> int:
        """All of it. Generation and the backward pass take turns, unless vLLM keeps its share."""
        parts: dict[str, int] = asdict(self)
        return sum(parts.values()) - self.engine


def shape_of(settings: TrainSettings) -> Shape:
    """The shape of the model that is trained, without its weights. `TrainingError`, or what transformers raises."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    backbone = backbone_of(settings.model, settings.revision)
    base, revision = base_of(settings.model, settings.revision)
    config = AutoConfig.from_pretrained(base, revision=revision)
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    pattern = re.compile(backbone.layers(vision=settings.train_vision))
    adapted = [m for name, m in model.named_modules() if isinstance(m, torch.nn.Linear) and pattern.fullmatch(name)]
    text = config.get_text_config()
    if settings.tune == "full":
        weights = [(name, weight.numel()) for name, weight in model.named_parameters()]
        trained = sum(size for name, size in weights if settings.train_vision or LANGUAGE_MODEL.fullmatch(name))
    else:
        experts = [weight for name, weight in model.named_parameters() if name.endswith(backbone.experts)]
        sides = sum(layer.in_features + layer.out_features for layer in adapted)
        sides += sum(math.prod(held.shape[:-2]) * sum(held.shape[-2:]) for held in experts)
        trained = settings.lora_rank * sides
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return Shape(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        trained=trained,
        layers=text.num_hidden_layers,
        hidden=text.hidden_size,
        intermediate=text.intermediate_size,
        key_values=text.num_key_value_heads * head,
        vocabulary=text.vocab_size,
    )


def memory_of(shape: Shape, settings: SftSettings | GrpoSettings, devices: int, device_bytes: int | None) -> Memory:
    """The peak on each of so many devices; `device_bytes` is the memory of a GPU, None without one.

    A row is taken to be as long as the settings allow.
    """
    gpu = device_bytes is not None
    single = settings.precision == "fp32" or (settings.precision == "auto" and not gpu)
    size = 4 if single else 2
    checkpointing = settings.gradient_checkpointing == "on" or (settings.gradient_checkpointing == "auto" and gpu)
    rows = settings.device_batch_size
    if isinstance(settings, SftSettings):
        length = learned = settings.max_length
    else:
        length, learned = settings.context, settings.max_tokens
    # Of a layer: both norms, queries, the attention's in and out, and four of the width between.
    tokens, words = min(rows * learned, TILE[0]), min(shape.vocabulary, TILE[1])
    layer = size * (7 * shape.hidden + 4 * shape.intermediate + 2 * shape.key_values)
    kept = size * shape.hidden * shape.layers + layer if checkpointing else layer * shape.layers
    return Memory(
        weights=_weights(shape, settings, size),
        adapter=shape.trained * ADAM,
        activations=rows * length * kept,
        logits=tokens * words * size * (1 if gpu else CPU_TILES) + 4 * rows * length * shape.hidden,
        generation=_generation(shape, settings, devices, device_bytes, size),
        overhead=OVERHEAD if gpu else 0,
        engine=_engine(shape, settings, size),
    )


def _weights(shape: Shape, settings: SftSettings | GrpoSettings, size: int) -> int:
    """All that no optimiser counts. A whole model is in single precision, as is the reference of its KL term."""
    if settings.tune == "lora":
        return shape.parameters * size
    reference = shape.parameters * 4 if isinstance(settings, GrpoSettings) and settings.kl else 0
    return (shape.parameters - shape.trained) * 4 + reference


def _engine(shape: Shape, settings: SftSettings | GrpoSettings, size: int) -> int:
    if isinstance(settings, SftSettings) or settings.vllm != "colocate":
        return 0
    return shape.parameters * size + settings.context * kv_bytes(shape, size) + ENGINE


def kv_bytes(shape: Shape, size: int) -> int:
    """Bytes of a token's keys and values."""
    return shape.layers * 2 * shape.key_values * size


def _generation(
    shape: Shape, settings: SftSettings | GrpoSettings, devices: int, device_bytes: int | None, size: int
) -> int:
    if isinstance(settings, SftSettings) or settings.vllm == "server":
        return 0
    if settings.vllm == "colocate":
        return int(settings.vllm_memory * (device_bytes or 0))
    rollouts = -(-settings.questions * settings.rollouts // devices)
    return rollouts * settings.context * kv_bytes(shape, size)


def disk_of(shape: Shape, settings: TrainSettings, *, single: bool) -> int:
    """Bytes that checkpoints and the saved model take."""
    checkpoints = (settings.keep + 1) * shape.trained * 12
    whole = shape.parameters * (4 if single else 2)
    base = whole if (Path(settings.model) / "adapter_config.json").is_file() else 0
    if settings.tune == "full":
        return checkpoints + base + whole
    adapter = shape.trained * 4 if settings.save != "merged" else 0
    return checkpoints + base + adapter + (whole if settings.save != "adapter" else 0)


def gigabytes(size: float) -> str:
    """A size as it is read."""
    return f"{size / 1e9:,.1f} GB"


def as_dict(memory: Memory) -> dict[str, Any]:
    """Its parts and their sum."""
    return asdict(memory) | {"total": memory.total}

"""The two models of the first hour: one that any machine trains, and one that gives a GPU something to do.

torch and transformers are imported inside of the functions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import tiny_models

from gog.transforms.dialect.backbones import BACKBONES

BACKBONE: Final = "qwen3-vl"


@dataclass(frozen=True)
class Size:
    """A model, and how much of what it is trained on at a time."""

    text: Mapping[str, float]
    vision: Mapping[str, int]
    batch: int
    """Rows of a step of SFT."""
    learning_rate: float
    grpo: Mapping[str, int]


SIZES: Final = {
    "tiny": Size(
        {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 32,
         "initializer_range": 0.08},
        {"depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 2, "out_hidden_size": 128},
        batch=2,
        learning_rate=1e-2,
        grpo={"questions": 2, "rollouts": 4, "device_batch_size": 2, "max_tokens": 1024, "turn_tokens": 64,
              "context": 8192},
    ),
    "100M": Size(
        {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 14, "num_attention_heads": 12,
         "num_key_value_heads": 4, "head_dim": 64,
         "initializer_range": 0.03},
        {"depth": 8, "hidden_size": 384, "intermediate_size": 1024, "num_heads": 6, "out_hidden_size": 768},
        batch=8,
        learning_rate=1e-3,
        grpo={"questions": 8, "rollouts": 4, "device_batch_size": 2, "max_tokens": 2048, "turn_tokens": 128,
              "context": 8192},
    ),
}  # fmt: skip
"""By their names in the table."""


def checkpoint(folder: Path, size: Size) -> None:
    """Random weights in the architecture of the family, of which one token in some twenty ends a turn.

    The processor is transformers' own where torchvision is: vLLM reads no other.
    """
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText, AutoTokenizer

    tiny_models.checkpoint(BACKBONE, folder)
    if find_spec("torchvision") is not None:
        _own_processor(folder)
    config = AutoConfig.from_pretrained(folder)
    for part, values in ((config.text_config, size.text), (config.vision_config, size.vision)):
        for key, value in values.items():
            setattr(part, key, value)
    third = size.text["head_dim"] // 6
    config.text_config.rope_parameters["mrope_section"] = [size.text["head_dim"] // 2 - 2 * third, third, third]
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(config)
    end = AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids(BACKBONES[BACKBONE].end_of_turn)
    model.generation_config.eos_token_id = end
    with torch.no_grad():  # all that is embedded has one direction in common, along which the end of a turn lies
        model.get_input_embeddings().weight.add_(5 * config.text_config.initializer_range)
        model.get_output_embeddings().weight[end].add_(6 / config.text_config.hidden_size)
    model.save_pretrained(folder)


def _own_processor(folder: Path) -> None:
    from transformers import AutoTokenizer, Qwen2VLImageProcessor, Qwen3VLProcessor, Qwen3VLVideoProcessor

    backbone = BACKBONES[BACKBONE]
    patch = backbone.factor // backbone.merge
    images = Qwen2VLImageProcessor(patch_size=patch, **backbone.image_settings)
    video, tokens = Qwen3VLVideoProcessor(patch_size=patch), AutoTokenizer.from_pretrained(folder)
    template = backbone.template(thinking=True).text
    Qwen3VLProcessor(images, tokens, video, chat_template=template).save_pretrained(folder)

"""A Qwen3-VL of a million random weights with its real processor, as a checkpoint that vLLM serves.

    python tiny.py FOLDER

Runs in vLLM's environment: the real processor needs torchvision. Heads are of a size that vLLM has kernels for.
"""

import sys
from pathlib import Path

import tiny_models

from gog.transforms.dialect.backbones import BACKBONES

BACKBONE = "qwen3-vl"
SPREAD = 0.05


def make(folder: Path) -> None:
    """Write the checkpoint; its processor has the pixel budget of the exports."""
    import torch
    from transformers import (
        AutoModelForImageTextToText,
        Qwen2VLImageProcessor,
        Qwen3VLConfig,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    backbone = BACKBONES[BACKBONE]
    template = backbone.template(thinking=True).text
    tokens = tiny_models.tokenizer()
    tokens.chat_template = template
    patch = backbone.factor // 2
    limits = {"min_pixels": backbone.min_pixels, "max_pixels": backbone.max_pixels}
    processor = Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(patch_size=patch, **limits),
        tokenizer=tokens,
        video_processor=Qwen3VLVideoProcessor(patch_size=patch),
        chat_template=template,
    )
    processor.save_pretrained(folder)
    ids = tokens.convert_tokens_to_ids
    rope = {"rope_type": "default", "mrope_interleaved": True, "mrope_section": [8, 4, 4], "rope_theta": 5e6}
    text = {
        "vocab_size": len(tokens),
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": tiny_models.LENGTH,
        "initializer_range": SPREAD,
        "bos_token_id": None,
        "eos_token_id": tokens.eos_token_id,
        "pad_token_id": tokens.pad_token_id,
        "rope_parameters": rope,
    }
    vision = {
        "depth": 2,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_heads": 2,
        "patch_size": patch,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "out_hidden_size": 128,
        "num_position_embeddings": 256,
        "deepstack_visual_indexes": [0],
    }
    config = Qwen3VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
    )
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(config)
    model.generation_config.eos_token_id = tokens.eos_token_id
    model.generation_config.pad_token_id = tokens.pad_token_id
    model.save_pretrained(folder)


if __name__ == "__main__":
    make(Path(sys.argv[1]))

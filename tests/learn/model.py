"""A Qwen3-VL of some two million weights, of transformers' own code, before it has seen anything.

Numbers start alike where they are near each other, so that a box that is a little off is little wrong.
"""

from typing import Any, Final

from learn.words import NUMBERS

WIDTH: Final = 128
LAYERS: Final = 4
HEADS: Final = 4
SPREAD: Final = 0.05


def make_model(tokenizer: Any, *, seed: int = 0) -> Any:
    """The model of random weights, on the CPU, in single precision, with tied embeddings."""
    import torch
    from transformers import AutoModelForImageTextToText, Qwen3VLConfig

    to_id = tokenizer.convert_tokens_to_ids
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": WIDTH,
        "intermediate_size": 3 * WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "head_dim": WIDTH // HEADS,
        "max_position_embeddings": 8192,
        "initializer_range": SPREAD,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "rope_parameters": {
            "rope_type": "default",
            "mrope_interleaved": True,
            "mrope_section": [6, 5, 5],
            "rope_theta": 1e4,
        },
    }
    vision = {
        "depth": 3,
        "hidden_size": 96,
        "intermediate_size": 256,
        "num_heads": 3,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "out_hidden_size": WIDTH,
        "num_position_embeddings": 256,
        "deepstack_visual_indexes": [1],
        "initializer_range": SPREAD,
    }
    config = Qwen3VLConfig(
        text_config=text,
        vision_config=vision,
        tie_word_embeddings=True,
        image_token_id=to_id("<|image_pad|>"),
        video_token_id=to_id("<|video_pad|>"),
        vision_start_token_id=to_id("<|vision_start|>"),
        vision_end_token_id=to_id("<|vision_end|>"),
    )
    torch.manual_seed(seed)
    made = AutoModelForImageTextToText.from_config(config)
    _order_numbers(made.get_input_embeddings().weight, to_id(list(NUMBERS)))
    made.generation_config.eos_token_id = tokenizer.eos_token_id
    made.generation_config.pad_token_id = tokenizer.pad_token_id
    return made


def _order_numbers(weight: Any, numbers: list[int]) -> None:
    """Smooth codes for the tokens of 0 to 1000: bumps of a twentieth, over random directions."""
    import torch

    centres = torch.linspace(0, 1, 33)
    places = torch.linspace(0, 1, len(numbers))
    bumps = torch.exp(-((places[:, None] - centres) ** 2) / (2 * 0.05**2))
    with torch.no_grad():
        codes = bumps @ torch.randn(len(centres), weight.shape[1])
        weight[numbers] = codes * (weight.norm(dim=1).mean() / codes.norm(dim=1).mean())

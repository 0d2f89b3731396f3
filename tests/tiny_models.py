"""Qwen-VL models of random weights, a quarter of a million, with tokenizer and processor: no hub, no network.

The processors are images only, since the branch for videos needs torchvision. `register` teaches `AutoProcessor` of
this process to load them, so that the package loads a tiny checkpoint as it loads any. A vocabulary of some 700 tokens
is made of the episode's prompt and tools: they are what most of an episode's text consists of.

Importing this module loads neither torch nor transformers.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from families import FAMILIES, NEWER

from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.episode.machine import EpisodeSettings, offered_tools, system_prompt

SPECIALS: Final = (
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
ADDED: Final = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>")
"""Tokens of the real tokenizers that are added but not special."""

WORDS: Final = "assistant system user reasoning evidence answer flag of the country what which is on top left right "
LENGTH: Final = 32768


def tokenizer(without: tuple[str, ...] = ()) -> Any:
    """A Qwen tokenizer over bytes with a few hundred merges; `without` leaves special or added tokens out."""
    from transformers import Qwen2Tokenizer

    vocab, merges = _merged()
    specials = [token for token in SPECIALS if token not in without]
    end = "<|endoftext|>"
    eos = "<|im_end|>" if "<|im_end|>" in specials else end
    made = Qwen2Tokenizer(
        vocab=dict(vocab),
        merges=list(merges),
        eos_token=eos,
        pad_token=end,
        unk_token=end,
        extra_special_tokens=specials,
    )
    made.add_tokens([token for token in ADDED if token not in without])
    return made


@cache
def _merged() -> tuple[dict[str, int], tuple[tuple[str, str], ...]]:
    from tokenizers import pre_tokenizers, trainers
    from transformers import Qwen2Tokenizer

    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    bare = Qwen2Tokenizer(vocab={symbol: index for index, symbol in enumerate(symbols)}, merges=[]).backend_tokenizer
    trainer = trainers.BpeTrainer(vocab_size=1000, initial_alphabet=symbols, show_progress=False)
    settings = EpisodeSettings()
    texts = [system_prompt(settings)[0], WORDS, *(json.dumps(tool) for tool in offered_tools(settings))]
    bare.train_from_iterator(texts, trainer)
    model = json.loads(bare.to_str())["model"]
    return model["vocab"], tuple((left, right) for left, right in model["merges"])


def processor(
    backbone: str,
    chat_template: str | None = None,
    *,
    min_pixels: int | None = None,
    max_pixels: int | None = None,
    without: tuple[str, ...] = (),
) -> Any:
    """Text and images. Without a pixel budget each image becomes one to four visual tokens."""
    from transformers import Qwen2VLImageProcessorPil

    factor = BACKBONES[backbone].factor
    made = tokenizer(without)
    images = Qwen2VLImageProcessorPil(
        patch_size=factor // 2,
        min_pixels=min_pixels or factor**2,
        max_pixels=max_pixels or 4 * factor**2,
    )
    return processor_of(backbone, images, made, chat_template)


def processor_of(backbone: str, images: Any, tokenizer: Any, chat_template: str | None = None) -> Any:
    """A processor around an image processor and a tokenizer."""
    tokenizer.chat_template = chat_template
    return _classes()[backbone](image_processor=images, tokenizer=tokenizer, chat_template=chat_template)


@cache
def _classes() -> dict[str, type[Any]]:
    from transformers import Qwen2_5_VLProcessor, Qwen3VLProcessor
    from transformers.processing_utils import ProcessorMixin

    def images_only(base: type[Any], name: str) -> type[Any]:
        def __init__(self: Any, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None) -> None:
            for key in ("image", "video"):
                setattr(self, f"{key}_token", f"<|{key}_pad|>")
                setattr(self, f"{key}_token_id", tokenizer.convert_tokens_to_ids(f"<|{key}_pad|>"))
            for key in ("vision_start", "vision_end"):
                setattr(self, f"{key}_token", f"<|{key}|>")
                setattr(self, f"{key}_token_id", tokenizer.convert_tokens_to_ids(f"<|{key}|>"))
            ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)

        return type(name, (base,), {"__init__": __init__, "__module__": __name__})

    qwen3 = images_only(Qwen3VLProcessor, "TinyQwen3VLProcessor")
    return {
        "qwen2.5-vl": images_only(Qwen2_5_VLProcessor, "TinyQwen2_5_VLProcessor"),
        **dict.fromkeys(("qwen3-vl", *NEWER), qwen3),
    }


def register() -> None:
    """Let `AutoProcessor.from_pretrained` of this process load tiny processors."""
    from transformers import AutoProcessor

    for name, config in _configs().items():
        AutoProcessor.register(config, _classes()[name], exist_ok=True)


@cache
def _configs() -> dict[str, type[Any]]:
    from transformers import CONFIG_MAPPING

    return {name: CONFIG_MAPPING[BACKBONES[name].model_type] for name in (*FAMILIES, *NEWER)}


def model(backbone: str, *, seed: int = 0, spread: float = 0.02) -> Any:
    """A model of random weights for the tokenizer above, on the CPU, in single precision.

    `spread` is the standard deviation of the weights. Of the usual one the head cannot say anything with confidence,
    so that an adapter below it learns little.
    """
    import torch
    from transformers import AutoModelForImageTextToText

    config = _config(backbone, spread)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = AutoModelForImageTextToText.from_config(config)
    made.generation_config.eos_token_id = config.text_config.eos_token_id
    made.generation_config.pad_token_id = config.text_config.pad_token_id
    return made


def _config(backbone: str, spread: float) -> Any:
    tokens = tokenizer()
    to_id = tokens.convert_tokens_to_ids
    ids = {
        "image_token_id": to_id("<|image_pad|>"),
        "video_token_id": to_id("<|video_pad|>"),
        "vision_start_token_id": to_id("<|vision_start|>"),
        "vision_end_token_id": to_id("<|vision_end|>"),
    }
    text: dict[str, Any] = {
        "vocab_size": len(tokens),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": LENGTH,
        "initializer_range": spread,
        "bos_token_id": None,
        "eos_token_id": tokens.eos_token_id,
        "pad_token_id": tokens.pad_token_id,
    }
    vision: dict[str, Any] = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "patch_size": BACKBONES[backbone].factor // 2,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "out_hidden_size": 64,
    }
    if backbone == "qwen2.5-vl":
        text["rope_parameters"] = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e6}
        vision |= {"window_size": 56, "fullatt_block_indexes": [1]}
    else:
        mrope = {"mrope_interleaved": True, "mrope_section": [4, 2, 2]}
        text |= {"head_dim": 16, "rope_parameters": {"rope_type": "default", **mrope, "rope_theta": 5e6}}
        vision |= {"num_position_embeddings": 256}
        if backbone.startswith("qwen3-vl"):
            vision |= {"deepstack_visual_indexes": [0]}
        else:
            text |= {"layer_types": ["linear_attention", "full_attention"], "partial_rotary_factor": 1.0}
            text |= {f"linear_{side}_head_dim": 16 for side in ("key", "value")}
            text |= {f"linear_num_{side}_heads": 2 for side in ("key", "value")}
        if BACKBONES[backbone].experts:
            text |= {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
            text |= {} if backbone.startswith("qwen3-vl") else {"shared_expert_intermediate_size": 32}
    return _configs()[backbone](text_config=text, vision_config=vision, **ids)


def checkpoint(backbone: str, folder: Path, chat_template: str | None = None, *, spread: float = 0.02) -> Path:
    """Model and processor, saved as a checkpoint that `register` makes loadable; nothing is done where one is."""
    if not (folder / "config.json").exists():
        processor(backbone, chat_template).save_pretrained(folder)
        model(backbone, spread=spread).save_pretrained(folder)
    return folder

"""Models of all families of random weights, a quarter of a million, with tokenizer and processor: no hub, no network.

The processors are images only, since the branch for videos needs torchvision. `register` teaches `AutoProcessor` of
this process to load them, so that the package loads a tiny checkpoint as it loads any. A vocabulary of some 700 tokens
is made of the episode's prompt and tools: they are what most of an episode's text consists of.

Importing this module loads neither torch nor transformers.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

from families import FAMILIES, GLM, NEWER, SQUARE

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
GLM_SPECIALS: Final = (
    *("[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>"),
    *("<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"),
    *("<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>", "<|image|>", "<|video|>"),
    "/nothink",
)
NAMED: Final = {
    "internvl": {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    },
    "gemma3": {
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
        "image_token": "<image_soft_token>",
    },
}
"""Further ones by model type, which its processor asks the tokenizer for by name."""
ADDED: Final = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>")
"""Tokens of the real tokenizers that are added but not special."""

WORDS: Final = "assistant system user reasoning evidence answer flag of the country what which is on top left right "
LENGTH: Final = 32768
SIDE: Final = 6
"""Of a square, in visual tokens: as many as 48 of them make."""


def tokenizer(without: tuple[str, ...] = (), backbone: str = "qwen3-vl") -> Any:
    """A Qwen tokenizer over bytes with a few hundred merges; `without` leaves special or added tokens out."""
    from transformers import Qwen2Tokenizer

    vocab, merges = _merged()
    family = BACKBONES[backbone]
    named = NAMED.get(family.model_type, {})
    of_family = GLM_SPECIALS if backbone in GLM else SPECIALS
    further = [token for token in family.special_tokens if token not in (*of_family, *named.values())]
    specials = [token for token in (*of_family, *named.values(), *further) if token not in without]
    end = "<|endoftext|>"
    eos = family.end_of_turn if family.end_of_turn in specials else end
    made = Qwen2Tokenizer(
        vocab=dict(vocab),
        merges=list(merges),
        eos_token=eos,
        pad_token=end,
        unk_token=end,
        extra_special_tokens=specials,
        model_specific_special_tokens=named,
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
    """Text and images. Without a pixel budget each image becomes one to four visual tokens, or a small square."""
    from transformers import Glm4vImageProcessorPil, Qwen2VLImageProcessorPil

    factor = BACKBONES[backbone].factor
    made = tokenizer(without, backbone)
    if backbone in SQUARE:
        return processor_of(backbone, squaring(backbone, SIDE * factor), made, chat_template)
    least, most = min_pixels or factor**2, max_pixels or 4 * factor**2
    if backbone in GLM:
        images = Glm4vImageProcessorPil(size={"shortest_edge": 2 * least, "longest_edge": 2 * most})
    else:
        images = Qwen2VLImageProcessorPil(patch_size=factor // 2, min_pixels=least, max_pixels=most)
    return processor_of(backbone, images, made, chat_template)


def squaring(backbone: str, side: int) -> Any:
    """An image processor that makes squares, as the family's checkpoints have it, or others of that side."""
    from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

    size = {"height": side, "width": side}
    if backbone == "gemma3":
        return Gemma3ImageProcessorPil(size=size)
    return GotOcr2ImageProcessorPil(size=size, crop_to_patches=True, min_patches=1, max_patches=12)


def processor_of(backbone: str, images: Any, tokenizer: Any, chat_template: str | None = None) -> Any:
    """A processor around an image processor and a tokenizer."""
    tokenizer.chat_template = chat_template
    return _classes()[backbone](image_processor=images, tokenizer=tokenizer, chat_template=chat_template)


@cache
def _classes() -> dict[str, type[Any]]:
    from transformers import Gemma3Processor, Glm4vProcessor, InternVLProcessor, Qwen2_5_VLProcessor, Qwen3VLProcessor
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

    class TinyInternVLProcessor(InternVLProcessor):  # type: ignore[misc]
        def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None) -> None:
            self.image_seq_length = SIDE**2
            self.start_image_token, self.end_image_token = tokenizer.start_image_token, tokenizer.end_image_token
            self.start_image_token_id, self.end_image_token_id = tokenizer.convert_tokens_to_ids(["<img>", "</img>"])
            self.image_token, self.video_token = tokenizer.context_image_token, tokenizer.video_token
            self.image_token_id = tokenizer.context_image_token_id
            self.multimodal_pattern = re.compile(f"(?P<image>{self.image_token})|(?P<video>{self.video_token})")
            ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)

    class TinyGemma3Processor(Gemma3Processor):  # type: ignore[misc]
        def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None) -> None:
            super().__init__(image_processor, tokenizer, chat_template, SIDE**2)

    class TinyGlm4vProcessor(Glm4vProcessor):  # type: ignore[misc]
        def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None) -> None:
            self.image_token, self.video_token = "<|image|>", "<|video|>"
            self.image_token_id, self.video_token_id = tokenizer.convert_tokens_to_ids(["<|image|>", "<|video|>"])
            marks = ["<|begin_of_video|>", "<|end_of_video|>"]
            self.video_start_id, self.video_end_id = tokenizer.convert_tokens_to_ids(marks)
            ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)

        def create_mm_token_type_ids(self, input_ids: Any) -> Any:
            """Of lists: numpy warns of how an array is made of a tensor here."""
            return super().create_mm_token_type_ids([[int(token) for token in ids] for ids in input_ids])

    for made in (TinyInternVLProcessor, TinyGemma3Processor, TinyGlm4vProcessor):
        made.__module__ = __name__
    qwen3 = images_only(Qwen3VLProcessor, "TinyQwen3VLProcessor")
    return {
        "qwen2.5-vl": images_only(Qwen2_5_VLProcessor, "TinyQwen2_5_VLProcessor"),
        **dict.fromkeys(("qwen3-vl", *NEWER), qwen3),
        "internvl3.5": TinyInternVLProcessor,
        "gemma3": TinyGemma3Processor,
        **dict.fromkeys(GLM, TinyGlm4vProcessor),
    }


def register() -> None:
    """Let `AutoProcessor.from_pretrained` of this process load tiny processors."""
    from transformers import AutoProcessor

    for name, config in _configs().items():
        AutoProcessor.register(config, _classes()[name], exist_ok=True)


@cache
def _configs() -> dict[str, type[Any]]:
    from transformers import CONFIG_MAPPING

    return {name: CONFIG_MAPPING[BACKBONES[name].model_type] for name in (*FAMILIES, *NEWER, *SQUARE, *GLM)}


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
        for name, weights in made.named_parameters():
            if name.endswith("mm_input_projection_weight"):
                torch.nn.init.normal_(weights, std=spread)  # which Gemma 3 begins with zeros: no image would matter
    ends = tokenizer(backbone=backbone).convert_tokens_to_ids([*BACKBONES[backbone].ends])
    made.generation_config.eos_token_id = [*dict.fromkeys([config.text_config.eos_token_id, *ends])]
    made.generation_config.pad_token_id = config.text_config.pad_token_id
    return made


def _config(backbone: str, spread: float) -> Any:
    tokens = tokenizer(backbone=backbone)
    to_id = tokens.convert_tokens_to_ids
    ids = {
        "image_token_id": to_id(BACKBONES[backbone].placeholders[0]),
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
    if backbone in SQUARE:
        return _square_config(backbone, text, tokens)
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
    if backbone in GLM:
        for kind in ("image", "video"):
            ids |= {f"{kind}_token_id": to_id(f"<|{kind}|>"), f"{kind}_start_token_id": to_id(f"<|begin_of_{kind}|>")}
            ids |= {f"{kind}_end_token_id": to_id(f"<|end_of_{kind}|>")}
        ids = {name: token for name, token in ids.items() if "vision" not in name}
        mrope = {"mrope_section": [2, 1, 1], "partial_rotary_factor": 0.5}
        text |= {"head_dim": 16, "rope_parameters": {"rope_type": "default", **mrope, "rope_theta": 1e4}}
        if BACKBONES[backbone].experts:
            text |= {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
            text |= {"n_shared_experts": 1, "first_k_dense_replace": 1}
    elif backbone == "qwen2.5-vl":
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


def _square_config(backbone: str, text: dict[str, Any], tokens: Any) -> Any:
    family = BACKBONES[backbone]
    text |= {"head_dim": 16, "tie_word_embeddings": False}
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "patch_size": 14,
        "image_size": SIDE * family.factor,
    }
    token = tokens.convert_tokens_to_ids(family.placeholders[0])
    if backbone == "gemma3":
        bounds = [tokens.boi_token_id, tokens.eoi_token_id]
        text |= {
            "query_pre_attn_scalar": 16,
            "sliding_window": 64,
            "layer_types": ["sliding_attention", "full_attention"],
        }
        ids = dict(zip(("boi_token_index", "eoi_token_index"), bounds, strict=True)) | {"image_token_index": token}
        ids |= {"mm_tokens_per_image": SIDE**2}
        return _configs()[backbone](text_config=text, vision_config=vision, tie_word_embeddings=False, **ids)
    text |= {"model_type": family.text_types[-1]}
    text |= {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}
    ids = {"image_token_id": token, "image_seq_length": SIDE**2}
    return _configs()[backbone](text_config=text, vision_config=vision, tie_word_embeddings=False, **ids)


def checkpoint(backbone: str, folder: Path, chat_template: str | None = None, *, spread: float = 0.02) -> Path:
    """Model and processor, saved as a checkpoint that `register` makes loadable; nothing is done where one is."""
    if not (folder / "config.json").exists():
        processor(backbone, chat_template).save_pretrained(folder)
        model(backbone, spread=spread).save_pretrained(folder)
    return folder

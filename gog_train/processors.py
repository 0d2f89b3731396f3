"""Loads models and processors, fits a processor to an export, and refuses what would train on something else.

torch and transformers are imported inside of the functions.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from gog.schemas import BoxError
from gog.schemas.boxes import smart_resize
from gog.transforms.dialect.backbones import BACKBONES, Backbone
from gog_train.settings import TrainingError
from gog_train.template import SPECIAL_TOKENS, Template

END_OF_TURN = "<|im_end|>"


def base_of(model: str, revision: str | None) -> tuple[str, str | None]:
    """The model itself, or the base of an adapter, with its revision."""
    if not (Path(model) / "adapter_config.json").is_file():
        return model, revision
    from peft import PeftConfig

    config = PeftConfig.from_pretrained(model)
    return str(config.base_model_name_or_path), config.revision


def backbone_of(model: str, revision: str | None = None) -> Backbone:
    """The family of a model, or of an adapter's base, by its config. Raises `TrainingError`."""
    from transformers import AutoConfig

    base, base_revision = base_of(model, revision)
    try:
        found = AutoConfig.from_pretrained(base, revision=base_revision).model_type
    except (OSError, ValueError) as error:
        raise TrainingError(f"{base} has no config of a model: {_line(error)}") from error
    for backbone in BACKBONES.values():
        if backbone.model_type == found:
            return backbone
    families = " or ".join(backbone.model_type for backbone in BACKBONES.values())
    raise TrainingError(f"{model} is a {found}, which is no backbone: start from a {families}")


def load_processor(model: str, revision: str | None = None) -> Any:
    """The processor of a model. Raises `TrainingError`."""
    from transformers import AutoProcessor

    try:
        processor = AutoProcessor.from_pretrained(model, revision=revision)
    except (OSError, ValueError, ImportError) as error:
        raise TrainingError(f"the processor of {model} does not load: {_line(error)}") from error
    if not hasattr(processor, "image_processor"):
        raise TrainingError(f"{model} has no image processor: copy preprocessor_config.json of its base beside it")
    return processor


def load_model(model: str, revision: str | None = None, *, dtype: str = "float32", attention: str = "sdpa") -> Any:
    """The model; an adapter is merged into its base. Raises `TrainingError`."""
    import torch
    from transformers import AutoModelForImageTextToText

    base, base_revision = base_of(model, revision)
    try:
        loaded = AutoModelForImageTextToText.from_pretrained(
            base, revision=base_revision, dtype=getattr(torch, dtype), attn_implementation=attention
        )
        if base == model:
            return loaded
        from peft import PeftModel

        return PeftModel.from_pretrained(loaded, model).merge_and_unload()
    except (OSError, ValueError, ImportError) as error:
        raise TrainingError(f"{model} does not load: {_line(error)}") from error


def fit(processor: Any, template: Template, backbone: Backbone) -> None:
    """Give the processor the chat template, what parses it back, and the pixel budget of the export."""
    tokenizer = processor.tokenizer
    processor.chat_template = tokenizer.chat_template = template.text
    tokenizer.response_template = template.response
    processor.image_processor.size = {"shortest_edge": backbone.min_pixels, "longest_edge": backbone.max_pixels}


def check(processor: Any, backbone: Backbone, images: Iterable[Image.Image] = ()) -> None:
    """Raise `TrainingError` unless a fitted processor writes the format and resizes as the export assumed.

    It is tried on pictures of its own, which are too small, too large and neither, and on the given ones.
    """
    check_tokens(processor.tokenizer)
    sizes = ((64, 48), (1000, 700), (700, 1000), (4000, 3000))
    for image in (*(Image.new("RGB", size, (90, 120, 150)) for size in sizes), *images):
        _check_resizing(processor, backbone, image)


def check_tokens(tokenizer: Any) -> None:
    """Raise `TrainingError` unless every special token of the format is one token."""
    missing = [token for token in SPECIAL_TOKENS if len(tokenizer.encode(token, add_special_tokens=False)) != 1]
    if missing:
        raise TrainingError(
            f"the tokenizer has no single token for {', '.join(missing)}: "
            "start from an instruct or thinking model of the family, with its own tokenizer"
        )
    if tokenizer.pad_token_id is None:
        raise TrainingError("the tokenizer has no padding token: set pad_token in tokenizer_config.json")


def _check_resizing(processor: Any, backbone: Backbone, image: Image.Image) -> None:
    width, height = image.size
    try:
        wanted = smart_resize(width, height, backbone.factor, backbone.min_pixels, backbone.max_pixels)
        made = processor.image_processor(images=[image], return_tensors="pt")
    except BoxError as error:
        raise TrainingError(f"an image of the export cannot be resized: {error}") from error
    except (ValueError, RuntimeError) as error:
        raise TrainingError(
            f"the processor cannot take an image of {width}x{height} ({_line(error)}): "
            "start from the processor of the export's backbone"
        ) from error
    _, rows, columns = (int(value) for value in made["image_grid_thw"][0])
    patch = int(processor.image_processor.patch_size)
    found = columns * patch, rows * patch
    factor = patch * int(processor.image_processor.merge_size)
    if found != wanted or factor != backbone.factor:
        raise TrainingError(
            f"the processor makes {found[0]}x{found[1]} of an image of {width}x{height} (factor {factor}), the export "
            f"assumed {wanted[0]}x{wanted[1]} (factor {backbone.factor}): export again for this model, "
            "or start from the processor of the export's backbone"
        )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]

"""Loads models and processors, fits a processor to an export, and refuses what would train on something else.

torch and transformers are imported inside of the functions.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from PIL import Image

from gog.schemas import BoxError
from gog.transforms.dialect.backbones import BACKBONES, Backbone, Template
from gog_train.settings import TrainingError

REFUSED: Final[Mapping[str, str]] = {
    "qwen3_moe": "TRL asks it for the logits of its router, which transformers' internvl does not hand on",
    "gemma4": "it writes boxes with y first, and every frame and prompt here has x first",
}
"""Model types, and those of language models in a known one, that are not trained, with the reason."""

TAGS: Final = tuple(f"<{slash}{tag}>" for tag in ("think", "tool_call", "answer") for slash in ("", "/"))
"""Words of the format that are read as text: a tokenizer may have a token for each, but none that is left out."""


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
        config = AutoConfig.from_pretrained(base, revision=base_revision)
    except (OSError, ValueError) as error:
        raise TrainingError(f"{base} has no config of a model: {_line(error)}") from error
    families = [BACKBONES[name] for name in BACKBONES]
    of_type = [one for one in families if one.model_type == config.model_type]
    inner = config.get_text_config().model_type
    for one in reversed(of_type):  # what an installed package declares comes last, and counts
        if not one.text_types or inner in one.text_types:
            return one
    kind, types = config.model_type, [one.model_type for one in families]
    if of_type:
        kind, types = (
            f"{kind} around a {inner}",
            [f"{kind} around a {text}" for one in of_type for text in one.text_types],
        )
    reason = REFUSED.get(inner if of_type else config.model_type)
    why = f" ({reason})" if reason else ""
    listed = " or ".join(dict.fromkeys(types))
    raise TrainingError(f"{model} is a {kind}, which is no backbone{why}: start from a {listed}")


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
    for name, value in backbone.image_settings.items():
        setattr(processor.image_processor, name, value)


def check(processor: Any, backbone: Backbone, images: Iterable[Image.Image] = ()) -> None:
    """Raise `TrainingError` unless a fitted processor writes the format and resizes as the export assumed.

    It is tried on pictures of its own, which are too small, too large and neither, and on the given ones.
    """
    check_tokens(processor.tokenizer, backbone)
    sizes = ((64, 48), (1000, 700), (700, 1000), (4000, 3000))
    for image in (*(Image.new("RGB", size, (90, 120, 150)) for size in sizes), *images):
        _check_resizing(processor, backbone, image)


def end_turns(model: Any, tokenizer: Any, backbone: Backbone) -> None:
    """Have a model's generation stop at the tokens that end a turn.

    Raises `TrainingError` on a model that stops at a word, inside of a turn: vLLM leaves such a word out.
    """
    config = model.generation_config
    stops = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    stops = [token for token in stops if token is not None]
    if inside := [token for token in stops if tokenizer.decode([token], skip_special_tokens=True)]:
        raise TrainingError(
            f"the model's generation stops at {', '.join(tokenizer.convert_ids_to_tokens(inside))}, inside of a turn: "
            f"take {', '.join(map(str, inside))} out of eos_token_id in its generation_config.json"
        )
    config.eos_token_id = [*dict.fromkeys([*stops, *tokenizer.convert_tokens_to_ids(list(backbone.ends))])]


def check_tokens(tokenizer: Any, backbone: Backbone) -> None:
    """Raise `TrainingError` unless every special token of the format is one token, and its words are read."""
    tokens = backbone.special_tokens
    missing = [token for token in tokens if len(tokenizer.encode(token, add_special_tokens=False)) != 1]
    if missing:
        raise TrainingError(
            f"the tokenizer has no single token for {', '.join(missing)}: "
            "start from an instruct or thinking model of the family, with its own tokenizer"
        )
    if unread := [tag for tag in TAGS if not tokenizer.decode(tokenizer.encode(tag), skip_special_tokens=True)]:
        raise TrainingError(
            f"the tokenizer leaves {', '.join(unread)} out of what is read: "
            "set `special` of it to false in tokenizer.json and tokenizer_config.json"
        )
    if tokenizer.pad_token_id is None:
        raise TrainingError("the tokenizer has no padding token: set pad_token in tokenizer_config.json")


def _check_resizing(processor: Any, backbone: Backbone, image: Image.Image) -> None:
    width, height = image.size
    try:
        wanted = backbone.resized(width, height)
        *resized, factor = backbone.processed(processor.image_processor, image)
    except BoxError as error:
        raise TrainingError(f"an image of the export cannot be resized: {error}") from error
    except (ValueError, RuntimeError) as error:
        raise TrainingError(
            f"the processor cannot take an image of {width}x{height} ({_line(error)}): "
            "start from the processor of the export's backbone"
        ) from error
    if tuple(resized) != wanted or factor != backbone.factor:
        raise TrainingError(
            f"the processor makes {resized[0]}x{resized[1]} of an image of {width}x{height} (factor {factor}), the "
            f"export assumed {wanted[0]}x{wanted[1]} (factor {backbone.factor}): export again for this model, "
            "or start from the processor of the export's backbone"
        )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]

"""What training refuses before its first step: tokenizers, processors and models that are not what was exported for."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from PIL import Image

from gog.transforms.dialect.backbones import BACKBONES, Backbone
from gog.transforms.dialect.backbones.family import SPECIAL_TOKENS
from gog_train.processors import backbone_of, check, check_tokens, fit, load_model, load_processor
from gog_train.settings import TrainingError


def fitted(backbone: Backbone, **options: Any) -> Any:
    processor = tiny_models.processor(backbone.name, **options)
    fit(processor, backbone.template(thinking=True), backbone)
    return processor


def test_a_fitted_processor_passes(backbone: str) -> None:
    """With the real budgets, whatever budgets it came with."""
    exported = BACKBONES[backbone]
    processor = fitted(exported, min_pixels=exported.factor**2, max_pixels=exported.factor**2)
    check(processor, exported, [Image.new("RGB", (1024, 768)), Image.new("RGB", (31, 500))])
    assert processor.tokenizer.response_template == BACKBONES[backbone].template(thinking=True).response


@pytest.mark.parametrize("token", SPECIAL_TOKENS)
def test_a_missing_special_token_is_named(token: str) -> None:
    with pytest.raises(TrainingError, match=r"no single token for .*start from an instruct") as caught:
        check_tokens(tiny_models.tokenizer(without=(token,)), BACKBONES["qwen3-vl"])
    assert token in str(caught.value)


def test_a_tokenizer_without_padding_is_refused() -> None:
    tokenizer = tiny_models.tokenizer()
    tokenizer.pad_token = None
    with pytest.raises(TrainingError, match="no padding token: set pad_token"):
        check_tokens(tokenizer, BACKBONES["qwen3-vl"])


def test_a_processor_that_resizes_otherwise_is_refused(small_backbone: Backbone) -> None:
    processor = fitted(small_backbone)
    with pytest.raises(TrainingError, match=r"makes \d+x\d+ of an image of .* the export assumed .*: export again"):
        check(processor, replace(small_backbone, max_pixels=2 * small_backbone.max_pixels))
    with pytest.raises(TrainingError, match="factor"):
        check(processor, replace(small_backbone, factor=small_backbone.factor + 4))
    processor.image_processor.do_resize = False
    with pytest.raises(TrainingError, match=r"cannot take an image of .* start from the processor of"):
        check(processor, small_backbone)


def test_the_budget_is_set_on_the_processor_and_saved_with_it(small_backbone: Backbone, tmp_path: Path) -> None:
    processor = fitted(small_backbone)
    processor.save_pretrained(tmp_path)
    saved = load_processor_like(tmp_path, small_backbone)
    size = saved.image_processor.size
    assert (size["shortest_edge"], size["longest_edge"]) == (small_backbone.min_pixels, small_backbone.max_pixels)
    check(saved, small_backbone)


def load_processor_like(folder: Path, backbone: Backbone) -> Any:
    """The saved processor; `AutoProcessor` asks for the config of a model beside it."""
    tiny_models.model(backbone.name).config.save_pretrained(folder)
    return load_processor(str(folder))


def test_the_family_is_read_off_the_model(backbone: str, checkpoints: dict[str, Path]) -> None:
    assert backbone_of(str(checkpoints[backbone])) is BACKBONES[backbone]


def test_other_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="has no config of a model"):
        backbone_of(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(
        TrainingError, match=r"is a llama, which is no backbone: start from a .*qwen2_5_vl or qwen3_5 or "
    ):
        backbone_of(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gemma4"}))
    with pytest.raises(TrainingError, match=r"no backbone \(it writes boxes with y first, .*\): start"):
        backbone_of(str(tmp_path))
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "internvl", "text_config": {"model_type": "llama"}})
    )
    with pytest.raises(
        TrainingError, match=r"internvl around a llama, .*: start from a internvl around a qwen2 or internvl"
    ):
        backbone_of(str(tmp_path))
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "internvl", "text_config": {"model_type": "qwen3_moe"}})
    )
    with pytest.raises(TrainingError, match=r"no backbone \(TRL asks it for the logits of its router, .*\): start"):
        backbone_of(str(tmp_path))
    with pytest.raises(TrainingError, match=r"the processor of .* does not load"):
        load_processor(str(tmp_path))
    with pytest.raises(TrainingError, match="does not load"):
        load_model(str(tmp_path))


def test_a_text_model_s_tokenizer_is_no_processor(backbone: str, tmp_path: Path) -> None:
    tiny_models.tokenizer().save_pretrained(tmp_path)
    tiny_models.model(backbone).config.save_pretrained(tmp_path)
    with pytest.raises(TrainingError, match=r"has no image processor|does not load"):
        load_processor(str(tmp_path))

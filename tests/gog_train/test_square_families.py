"""Families whose processor makes a square of every picture, of the whole of it: some would cut it by themselves."""

import re
from typing import Any

import pytest
import tiny_models
from families import SQUARE
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gog.schemas import BoxError
from gog.transforms.dialect.backbones import BACKBONES
from gog_train.grpo_settings import GrpoSettings
from gog_train.processors import check, fit
from gog_train.settings import TrainingError
from gog_train.stages import check_family

square = pytest.mark.parametrize("name", SQUARE)
sides = st.integers(1, 900) | st.sampled_from([1, 2, 447, 448, 449, 3000])

INTERNVL = BACKBONES["internvl3.5"]


def images_of(name: str) -> Any:
    """The image processor as a checkpoint has it."""
    return tiny_models.squaring(name, BACKBONES[name].resized(1, 1)[0])


@square
@settings(max_examples=25, deadline=None)
@given(width=sides, height=sides)
def test_every_picture_is_one_square(name: str, width: int, height: int) -> None:
    family = BACKBONES[name]
    images = images_of(name)
    for setting, value in family.image_settings.items():
        setattr(images, setting, value)
    *size, factor = family.processed(images, Image.new("RGB", (width, height), (9, 90, 200)))
    assert tuple(size) == family.resized(width, height)
    assert size[0] * size[1] == family.max_pixels == family.min_pixels
    assert family.visual_tokens(width, height) == 256 == family.max_pixels // factor**2


def test_internvl_would_cut_a_picture_and_says_so() -> None:
    """Four times the pixels in the same shape: as many tiles, and one more for the whole."""
    images = images_of("internvl3.5")
    tiles = [
        int(images(images=[Image.new("RGB", size)], return_tensors="pt", max_patches=4)["num_patches"][0])
        for size in ((400, 400), (448, 896), (896, 896))
    ]
    assert tiles == [1, 3, 5]
    processor = tiny_models.processor_of("internvl3.5", images, tiny_models.tokenizer(backbone="internvl3.5"))
    with pytest.raises(TrainingError, match=r"cannot take an image of 64x48 \(it cuts the image into 13 pieces\)"):
        check(processor, INTERNVL)
    fit(processor, INTERNVL.template(thinking=True), INTERNVL)
    check(processor, INTERNVL, [Image.new("RGB", size) for size in ((31, 500), (1024, 768), (5000, 40))])
    images.size = {"height": 384, "width": 384}
    with pytest.raises(TrainingError, match=r"makes 384x384 of an image of .* the export assumed 448x448"):
        check(processor, INTERNVL)


@square
def test_an_image_without_pixels_is_refused(name: str) -> None:
    with pytest.raises(BoxError, match="0x20 pixels cannot be resized"):
        BACKBONES[name].visual_tokens(0, 20)


@square
def test_the_processor_writes_as_many_tokens_as_are_reckoned_with(name: str) -> None:
    """Also where it is told to cut, as InternVL's is by default: it has no more than one piece to cut into."""
    family = BACKBONES[name]
    processor = tiny_models.processor(name, family.template(thinking=True).text)
    fit(processor, family.template(thinking=True), family)
    shown = [Image.new("RGB", size) for size in ((900, 500), (30, 700))]
    made = processor(text=[f"a {family.image}b {family.image}c"], images=shown, return_tensors="pt")
    text = processor.tokenizer.decode(made["input_ids"][0])
    features = family.placeholders[0] * tiny_models.SIDE**2
    assert text == family.spanned(f"a {family.image}b {family.image}c").replace(family.placeholders[0], features)
    assert len(made["pixel_values"]) == 2


@square
def test_all_of_a_real_models_blocks_is_met_and_nothing_else(name: str) -> None:
    """The layers of the config's own size around each language model that it may have, without weights."""
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForImageTextToText

    family = BACKBONES[name]
    for text in family.text_types or ("gemma3_text",):
        config = CONFIG_MAPPING[family.model_type](text_config={"model_type": text})
        with torch.device("meta"):
            model = AutoModelForImageTextToText.from_config(config)
        layers = [one for one, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
        language = [one for one in layers if ".language_model.layers." in one]
        assert language
        assert [one for one in layers if re.fullmatch(family.layers(vision=False), one)] == language
        tower = [one for one in layers if re.search(r"vision_tower\.(\w+\.)?encoder\.layers?\.", one)]
        assert tower
        assert [one for one in layers if re.fullmatch(family.vision, one)] == tower
        fused = {one.split(".", 4)[-1] for one, weight in model.named_parameters() if weight.dim() == 3}
        assert {one for one in fused if "expert" in one} == set(family.experts)


def test_image_tokens_of_gemma_3_see_those_behind_them() -> None:
    """With its marks the first ones of an image know the last; what stands before the image knows none of them."""
    import torch

    family, model = BACKBONES["gemma3"], tiny_models.model("gemma3", spread=0.2).eval()
    image = tiny_models.tokenizer(backbone="gemma3").convert_tokens_to_ids(family.placeholders[0])
    ids = torch.tensor([[5, 6, *[image] * tiny_models.SIDE**2, 7]])
    side = tiny_models.SIDE * family.factor
    pixels = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    marks = (ids == image).int()
    with torch.no_grad():
        marked, plain = (
            model(input_ids=ids, pixel_values=pixels, token_type_ids=one).logits[0] for one in (marks, 0 * marks)
        )
    assert torch.allclose(marked[:2], plain[:2], atol=1e-5)
    apart = (marked - plain).abs().amax(dim=1)
    assert (apart[2:-2] > 1e-2).all()
    assert apart[-1] > 1e-3, "what follows the image is written otherwise"


@pytest.mark.parametrize("wrong", [{"attention": "flash_attention_2"}, {"vllm": "colocate"}, {"vllm": "server"}])
def test_what_shows_image_tokens_otherwise_is_refused(wrong: dict[str, str]) -> None:
    settings = {"model": "m", "export": "e", "output": "o", "text_search": "corpus:a", "image_search": "gallery:a"}
    made = GrpoSettings.model_validate({**settings, **wrong})
    check_family(made, INTERNVL)
    check_family(GrpoSettings.model_validate(settings), BACKBONES["gemma3"])
    with pytest.raises(TrainingError, match=f"{next(iter(wrong))}: the tokens of an image see one another in a gemma3"):
        check_family(made, BACKBONES["gemma3"])

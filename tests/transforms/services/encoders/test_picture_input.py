"""Preprocessing, by the configs of transformers and timm."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from gog.transforms.services.encoders.picture_input import PictureInput
from gog.transforms.services.provider import ProviderError

MEANS = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
CLIP = MEANS | {"size": {"shortest_edge": 32}, "do_center_crop": True, "crop_size": {"height": 32, "width": 32}}
TIMM = {"input_size": [3, 32, 32], "interpolation": "bilinear", "crop_pct": 0.875, "mean": [0.0] * 3, "std": [1.0] * 3}


def stripes() -> Image.Image:
    """Green, with a red strip at either end."""
    image = Image.new("RGB", (120, 40), (0, 255, 0))
    for left in (0, 100):
        image.paste((255, 0, 0), (left, 0, left + 20, 40))
    return image


@pytest.mark.parametrize(
    ("config", "side", "red"),
    [
        (CLIP, 32, False),
        (MEANS | {"size": {"height": 32, "width": 32}}, 32, True),
        (MEANS | {"size": 32, "do_center_crop": True, "crop_size": 32}, 32, False),
        ({"pretrained_cfg": TIMM}, 32, False),
        (TIMM | {"crop_mode": "squash", "crop_pct": 1.0}, 32, True),
        (MEANS | {"size": {"shortest_edge": 384}, "crop_pct": 0.875}, 384, True),
        (MEANS | {"size": {"shortest_edge": 224}, "crop_pct": 0.875}, 224, False),
    ],
)
def test_a_picture_is_cut_or_squashed_as_its_config_says(config: dict[str, Any], side: int, red: bool) -> None:
    values = PictureInput.read(config, "m")(stripes())
    assert values.shape == (3, side, side)
    assert values.dtype == np.float32
    assert (values[0, side // 2, 0] > values[1, side // 2, 0]) == red, "the ends are there, or cut off"


def test_values_are_scaled_and_normalised() -> None:
    plain = Image.new("RGB", (32, 32), (255, 0, 51))
    assert np.allclose(PictureInput.read(CLIP, "m")(plain)[:, 3, 3], [1, -1, -0.6], atol=1e-5)
    raw = PictureInput.read(CLIP | {"do_rescale": False, "do_normalize": False}, "m")(plain)
    assert raw[:, 3, 3].tolist() == [255, 0, 51]


@pytest.mark.parametrize(
    "config",
    [
        {},
        MEANS,
        CLIP | {"do_pad": True},
        CLIP | {"size": {"longest_edge": 32}},
        CLIP | {"image_mean": [0.5]},
        CLIP | {"resample": 99},
        MEANS | {"size": {"shortest_edge": 32}},
        MEANS | {"size": {"height": 10**9, "width": 2}},
        TIMM | {"interpolation": "magic"},
        TIMM | {"input_size": [1, 32, 32]},
        TIMM | {"crop_mode": "border"},
    ],
)
def test_what_is_not_known_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ProviderError, match="pictures"):
        PictureInput.read(config, "m")

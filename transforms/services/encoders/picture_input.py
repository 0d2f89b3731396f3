"""How a model wants its pictures, by its own config: `preprocessor_config.json`, or timm's `config.json`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gog.transforms.services.provider import ProviderError

_RESAMPLING: Final = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_KNOWN: Final = frozenset({"do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb"})
"""Steps of transformers' image processors that are done here; one that asks for another is refused."""
_MOST: Final = 4096
"""Pixels of a side."""


@dataclass(frozen=True, slots=True)
class PictureInput:
    """Resize, crop in the middle, scale and normalise."""

    shortest: int | None = None
    """The shorter side becomes as long;"""
    exact: tuple[int, int] | None = None
    """or the picture becomes so high and wide, whatever its shape."""
    crop: tuple[int, int] | None = None
    """Height and width that are cut out of the middle."""
    resample: Image.Resampling = Image.Resampling.BICUBIC
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)

    def __call__(self, image: Image.Image) -> NDArray[np.float32]:
        """An RGB picture as the model takes it, shape (3, height, width)."""
        if self.exact or self.shortest:
            image = image.resize(self._size(image), self.resample, reducing_gap=3.0)
        if self.crop:
            height, width = self.crop
            left, top = (image.width - width) // 2, (image.height - height) // 2
            image = image.crop((left, top, left + width, top + height))
        scaled = np.asarray(image, np.float32) * np.float32(self.scale)
        normal = (scaled - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(normal.transpose(2, 0, 1), np.float32)

    def _size(self, image: Image.Image) -> tuple[int, int]:
        """Width and height."""
        if self.exact:
            return self.exact[1], self.exact[0]
        assert self.shortest is not None
        least = min(image.size)
        return max(1, int(self.shortest * image.width / least)), max(1, int(self.shortest * image.height / least))

    @property
    def sides(self) -> tuple[int, int] | None:
        """Height and width of what comes out; None where they depend on the picture."""
        return self.crop or self.exact

    @classmethod
    def read(cls, config: Mapping[str, Any], model: str) -> Self:
        """By a config of transformers or of timm. Raises `ProviderError` on one that asks for what is not known."""
        try:
            timm = config.get("pretrained_cfg", config)
            made = cls._timm(timm) if "input_size" in timm else cls._transformers(config)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProviderError(f"{model}: how it wants its pictures cannot be read: {error!r}") from None
        if made.sides is None or not all(0 < side <= _MOST for side in made.sides):
            raise ProviderError(f"{model}: pictures of one size are encoded, and its config has {made.sides}")
        return made

    @classmethod
    def _timm(cls, config: Mapping[str, Any]) -> Self:
        channels, height, width = config["input_size"]
        if channels != 3:
            raise ValueError(f"input_size is {config['input_size']}")
        share, mode = float(config.get("crop_pct", 1.0)), config.get("crop_mode", "center")
        if mode not in ("center", "squash"):
            raise ValueError(f"crop_mode is {mode}")
        larger = (math.floor(height / share), math.floor(width / share))
        squashed = mode == "squash" or height != width
        return cls(
            shortest=None if squashed else larger[0],
            exact=larger if squashed else None,
            crop=(height, width),
            resample=_RESAMPLING[config.get("interpolation", "bicubic")],
            mean=_three(config["mean"]),
            std=_three(config["std"]),
        )

    @classmethod
    def _transformers(cls, config: Mapping[str, Any]) -> Self:
        others = [key for key, on in config.items() if key.startswith("do_") and on and key not in _KNOWN]
        if others:
            raise ValueError(f"it asks for {', '.join(others)}")
        crop = _sides(config["crop_size"]) if config.get("do_center_crop") else None
        exact, shortest = None, None
        if config.get("do_resize", True):
            size = config["size"]
            if isinstance(size, Mapping) and size.keys() == {"shortest_edge"}:
                shortest = int(size["shortest_edge"])
            elif isinstance(size, int) and crop:
                shortest = size
            else:
                exact = _sides(size)
        if shortest and "crop_pct" in config and crop is None:
            # ConvNeXt's: a small picture is resized by a share more, and cut; a large one is not cut.
            crop = (shortest, shortest)
            exact, shortest = (crop, None) if shortest >= 384 else (None, int(shortest / config["crop_pct"]))
        normal = config.get("do_normalize", True)
        return cls(
            shortest=shortest,
            exact=exact,
            crop=crop,
            resample=Image.Resampling(config.get("resample", Image.Resampling.BICUBIC)),
            scale=float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0,
            mean=_three(config["image_mean"]) if normal else (0.0, 0.0, 0.0),
            std=_three(config["image_std"]) if normal else (1.0, 1.0, 1.0),
        )


def _sides(size: Any) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    if set(size) != {"height", "width"}:
        raise ValueError(f"a size is {dict(size)}")
    return int(size["height"]), int(size["width"])


def _three(values: Sequence[float]) -> tuple[float, ...]:
    if len(values) != 3:
        raise ValueError(f"{len(values)} values for three colours")
    return tuple(float(value) for value in values)

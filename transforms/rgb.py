"""Decoded pictures of any mode as 8-bit RGB: wide numbers scaled, transparency laid over a ground that shows it."""

from typing import TYPE_CHECKING, Any, Final

from PIL import Image

if TYPE_CHECKING:  # few pictures need it, and a call's first one should not wait for it
    import numpy as np

_ALIKE: Final = 48
"""Levels: a colour whose channels are all nearer to the ground than this is lost on it."""


def to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB: wide numbers scaled, transparency over a ground that shows the picture."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _wide(image)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        if image.mode in ("La", "RGBa"):
            image = image.convert(image.mode.replace("a", "A"))
        rgba = image.convert("RGBA")
        level = _background(rgba)
        behind = Image.new("RGBA", rgba.size, (level, level, level, 255))
        return Image.alpha_composite(behind, rgba).convert("RGB")
    return image.convert("RGB")


def _background(rgba: Image.Image) -> int:
    """Grey level that shows a picture on transparent ground: the first of white, black and grey on which no more than
    a tenth of it is lost, else the one on which the least is.
    """
    import numpy as np

    small = rgba.resize((min(rgba.width, 512), min(rgba.height, 512)), Image.Resampling.NEAREST)
    pixels = np.asarray(small).astype(np.int16)
    opacity = pixels[..., 3] / 255
    if not opacity.any() or opacity.min() == 1:
        return 255
    lost = {
        level: float((opacity * (np.abs(pixels[..., :3] - level).max(axis=-1) < _ALIKE)).sum() / opacity.sum())
        for level in (255, 0, 128)
    }
    return next((level for level, share in lost.items() if share <= 0.1), min(lost, key=lambda level: lost[level]))


def _wide(image: Image.Image) -> Image.Image:
    import numpy as np

    values = np.asarray(image).astype(np.float64)
    grey = _scaled(values) if image.mode in ("I", "F") else values / 257
    return Image.fromarray(np.rint(grey).clip(0, 255).astype(np.uint8)).convert("RGB")


def _scaled(values: "np.ndarray[Any, np.dtype[np.float64]]") -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Numbers of unknown range, as 0..255: by the first usual range that holds them, else by their own."""
    import numpy as np

    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    whole = bool(np.all(values == np.rint(values)))
    if low >= 0:
        for top in (255.0, 65535.0) if whole and high > 1 else (1.0, 255.0):
            if high <= top:
                return values * (255 / top)
    return (values - low) * (255 / (high - low)) if high > low else np.zeros_like(values)

"""Pictures with something in every place: coloured noise, another one for each number."""

import io

import numpy as np
from PIL import Image


def texture(number: int, width: int = 320, height: int = 240) -> Image.Image:
    """The texture of a number; the same for any size but for its resolution."""
    rng = np.random.default_rng(number)
    canvas = np.zeros((height, width, 3))
    for cells in (3, 5, 9, 17, 33):
        small = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        layer = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
        canvas += (np.asarray(layer, dtype=np.float64) - 128) / cells**0.5
    return Image.fromarray(np.clip(128 + 0.9 * canvas, 0, 255).astype(np.uint8))


def jpeg(image: Image.Image, quality: int = 85) -> bytes:
    """The picture as a JPEG file."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()

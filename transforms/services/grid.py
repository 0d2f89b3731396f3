"""The `grid` embedder: mean colours of a coarse grid, in CIELAB, with numpy alone."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_TO_LINEAR = np.where(
    np.arange(256) / 255 <= 0.04045,
    np.arange(256) / 255 / 12.92,
    ((np.arange(256) / 255 + 0.055) / 1.055) ** 2.4,
).astype(np.float32)
_TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], np.float32
) / np.array([[0.9505], [1.0], [1.089]], np.float32)


def lab(image: Image.Image) -> NDArray[np.float32]:
    """CIELAB (D65) of an RGB image, shape (height, width, 3): L 0 to 100, a and b about -100 to 100."""
    return lab_of(np.asarray(image.convert("RGB"), np.uint8))


def lab_of(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """CIELAB (D65) of 8-bit sRGB values, shape (..., 3)."""
    xyz = _TO_LINEAR[rgb] @ _TO_XYZ.T
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    light = 116 * f[..., 1] - 16
    return np.stack((light, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])), -1).astype(np.float32)

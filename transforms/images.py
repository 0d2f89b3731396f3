"""Images: hostile bytes to sane pixels, hashes, and crops.

Everything that decodes a picture goes through `load_image` (at ingest) or `decode_image`: formats from a short
list, sizes checked from the header before anything is decoded, upright, and 8-bit RGB.
"""

import hashlib
import io
import math
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel, ConfigDict, Field

from gog.schemas import Box
from gog.schemas.boxes import pad, pixel_rect
from gog.transforms.decode_cost import CostError, WatchedFile, is_dear
from gog.transforms.rgb import to_rgb

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO")
"""Formats that are read; everything else is unreadable."""

MAX_ASPECT: Final = 200
"""Longest side over shortest: the Qwen-VL image processors refuse more."""

_KEPT_BLOCKS: Final = 8
"""Pieces of memory, of 16 MB at most, that Pillow keeps for the next pictures: the system's own for every picture
would be cleared and mapped page by page, which takes longer than to decode it."""
_SUFFIXES: Final = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}
_ORIENTATION_TAG: Final = 0x0112
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Image.core.set_blocks_max(_KEPT_BLOCKS)  # type: ignore[attr-defined]


class ImageError(ValueError):
    """The image cannot be used. `reason` is one of the `ingest.image_*` codes, `detail` one line."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["ImageError"], tuple[str, str]]:
        """For other processes."""
        return ImageError, (self.reason, self.detail)


class ImageLimits(BaseModel):
    """What an image may be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_pixels: int = Field(default=50_000_000, ge=1)
    """Width times height."""
    max_bytes: int = Field(default=50_000_000, ge=1)
    """Size of the file."""
    min_side: int = Field(default=28, ge=1)
    """Pixels of the shorter side; 28 is one visual token of the smaller backbone."""


_OURS: Final = ImageLimits(max_pixels=178_000_000, max_bytes=1 << 30, min_side=1)


class CropSettings(BaseModel):
    """How a region becomes a crop."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    padding: float = Field(default=0.1, ge=0, le=2)
    """Share of the box's own width and height that is added on each side."""
    min_side: int = Field(default=56, ge=1)
    """Pixels of the original that a crop covers at least, each way, where the image has them."""
    max_pixels: int = Field(default=512 * 28 * 28, ge=1024)
    """A larger crop is scaled down to this; the default is 512 visual tokens of Qwen2.5-VL."""


@dataclass(frozen=True, slots=True)
class LoadedImage:
    """An image that passed the limits: upright 8-bit RGB pixels, and the bytes that hold exactly these."""

    image: Image.Image
    data: bytes
    """What is stored: the original file where it is plain enough, a new one otherwise."""
    suffix: str
    """jpg, png or webp."""
    original: bool
    """Whether `data` is the file as it came."""
    kind: str
    """The format in which it came, one of `FORMATS`."""

    @property
    def width(self) -> int:
        return self.image.width

    @property
    def height(self) -> int:
        return self.image.height

    @property
    def sha256(self) -> str:
        return sha256_hex(self.data)


def sha256_hex(data: bytes) -> str:
    """Lower-case hex sha256."""
    return hashlib.sha256(data).hexdigest()


def image_suffix(data: bytes) -> str:
    """What the name of an image's file ends with, by its first bytes: png, webp or jpg."""
    return "png" if data.startswith(b"\x89PNG") else "webp" if data[8:12] == b"WEBP" else "jpg"


def media_type(data: bytes) -> str:
    """What HTTP calls an image's file, by its first bytes."""
    return f"image/{image_suffix(data)}".replace("jpg", "jpeg")


def load_image(data: bytes, limits: ImageLimits) -> LoadedImage:
    """Decode a file from outside, and decide what is stored of it.

    A plain file (upright, one frame, 8 bits a channel, grey or RGB, no transparency; JPEG, PNG or WebP) is stored
    as it came, unless it is dear to decode. Anything else becomes a PNG, or a JPEG of quality 95 when it was a JPEG;
    the pixels returned are then those of the new file. Raises `ImageError`.
    """
    raw, image, plain = _decode(data, limits)
    if plain:
        return LoadedImage(image, data, _SUFFIXES[raw], original=True, kind=raw)
    if raw != "JPEG":
        return LoadedImage(image, _png(image), "png", original=False, kind=raw)
    stored = jpeg(image, 95)
    return LoadedImage(_decode(stored, limits)[1], stored, "jpg", original=False, kind=raw)


def is_blank(image: Image.Image) -> bool:
    """Whether a picture is of one colour: no channel has two values more than two levels apart."""
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    return _even(rgb.resize((16, 16), Image.Resampling.NEAREST)) and _even(rgb)


def _even(rgb: Image.Image) -> bool:
    return all(isinstance(pair, tuple) and pair[1] - pair[0] <= 2 for pair in rgb.getextrema())


def decode_image(data: bytes) -> Image.Image:
    """The upright RGB pixels of a file of ours, which may be small. Raises `ImageError`."""
    return _decode(data, _OURS)[1]


def phash(image: Image.Image) -> str:
    """Perceptual hash (`imagehash.phash`, 64 bits) as 16 hex digits.

    Large images are first reduced by whole factors, to no less than 128 pixels a side: five times faster.
    """
    import imagehash  # with numpy: calls that only show pictures start without

    grey = image.convert("L")
    factor = min(grey.width, grey.height) // 128
    return str(imagehash.phash(grey.reduce(factor) if factor > 1 else grey))


def cut_crop(image: Image.Image, box: Box, settings: CropSettings) -> tuple[Image.Image, Box]:
    """Cut a box (fractions of `image`, the original) out of it.

    Returns the crop, and the part of the original that it shows: whole pixels, padding included, and grown where
    the box is smaller than the least size or thinner than a model accepts. It always lies inside the image.
    """
    width, height = image.size
    left, top, right, bottom = pixel_rect(pad(box, settings.padding), width, height)
    w, h = right - left, bottom - top
    left, right = _grown(left, right, max(settings.min_side, math.ceil(h / MAX_ASPECT)), width)
    top, bottom = _grown(top, bottom, max(settings.min_side, math.ceil(w / MAX_ASPECT)), height)
    covered = Box(left / width, top / height, right / width, bottom / height)
    w, h = right - left, bottom - top
    scale = math.sqrt(settings.max_pixels / (w * h))
    if scale >= 1:
        return image.crop((left, top, right, bottom)), covered
    size = max(1, math.floor(w * scale)), max(1, math.floor(h * scale))
    crop = image.resize(size, Image.Resampling.LANCZOS, (left, top, right, bottom), reducing_gap=3.0)
    return crop, covered


def encode(image: Image.Image) -> tuple[bytes, str]:
    """File and suffix of a crop: JPEG of quality 90 without chroma subsampling.

    Same pixels, same bytes (with one version of Pillow). Ten times faster than the fastest PNG, a quarter of its size.
    """
    return jpeg(image, 90), "jpg"


def crop_phash(image: Image.Image, box: Box, settings: CropSettings) -> str:
    """Perceptual hash of the crop that a box would give."""
    return phash(cut_crop(image, box, settings)[0])


def _grown(low: int, high: int, least: int, size: int) -> tuple[int, int]:
    """A range grown around its middle to at least `least`, moved to lie inside 0..size."""
    missing = min(least, size) - (high - low)
    if missing <= 0:
        return low, high
    low = min(max(0, low - missing // 2), size - min(least, size))
    return low, low + min(least, size)


def _decode(data: bytes, limits: ImageLimits) -> tuple[str, Image.Image, bool]:
    """Format, upright RGB pixels, and whether the file is plain enough to be stored as it is."""
    if not data:
        raise ImageError("ingest.image_unreadable", "the file is empty")
    if len(data) > limits.max_bytes:
        raise ImageError(
            "ingest.image_bomb", f"the file has {len(data)} bytes, more than the limit of {limits.max_bytes}"
        )
    if (size := _webp_size(data)) is not None:
        _check_size(*size, limits)
    try:
        with _pillow_quiet():
            return _decode_checked(data, limits)
    except ImageError:
        raise
    except (Image.DecompressionBombError, CostError) as error:
        raise ImageError("ingest.image_bomb", str(error)) from error
    except Exception as error:
        # Decoders meet hostile bytes with whatever they stumble over: struct.error, KeyError, SyntaxError, ...
        detail = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            heic = data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"msf1")
            detail = (
                "HEIC is not read: convert it to JPEG" if heic else f"not an image of the formats {', '.join(FORMATS)}"
            )
        raise ImageError("ingest.image_unreadable", detail[:300]) from error


def _decode_checked(data: bytes, limits: ImageLimits) -> tuple[str, Image.Image, bool]:
    with Image.open(WatchedFile(data), formats=FORMATS) as opened:
        _check_size(*opened.size, limits)
        # A JPEG with further pictures behind the first (phones, stereo cameras) calls itself MPO.
        kind = "JPEG" if opened.format == "MPO" else str(opened.format)
        dear = is_dear(data, kind)
        frames = getattr(opened, "n_frames", 1) if kind in _SUFFIXES else 1
        opened.load()
        _check_size(*opened.size, limits)
        turn = _UPRIGHT.get(_orientation(opened))
        plain = (
            kind in _SUFFIXES
            and frames == 1
            and turn is None
            and not dear
            and opened.mode in ("RGB", "L")
            and "transparency" not in opened.info
            and (kind != "PNG" or data[24] == 8)
        )
        # What is loaded whole needs no copy.
        image = opened if plain and opened.mode == "RGB" else to_rgb(opened)
    if turn is not None:
        image = image.transpose(turn)
    # Comments and colour profiles would otherwise be written into every file made of these pixels.
    image.info = {}
    return kind, image, plain


def _check_size(width: int, height: int, limits: ImageLimits) -> None:
    if width * height > limits.max_pixels:
        raise ImageError(
            "ingest.image_bomb",
            f"{width}x{height} pixels are more than the limit of {limits.max_pixels}",
        )
    if min(width, height) < limits.min_side:
        raise ImageError(
            "ingest.image_tiny",
            f"{width}x{height} pixels: a side is shorter than the limit of {limits.min_side}",
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageError("ingest.image_tiny", f"{width}x{height} pixels: longer than {MAX_ASPECT} times its short side")


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """Size in a WebP's header. Its decoder takes the memory for all pixels when the file is opened."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return None
    match data[12:16]:
        case b"VP8X":
            w, h = int.from_bytes(data[24:27], "little"), int.from_bytes(data[27:30], "little")
            return w + 1, h + 1
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            w, h = struct.unpack("<HH", data[26:30])
            return w & 0x3FFF, h & 0x3FFF
        case _:
            return None


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # damaged EXIF beside good pixels is common: such a picture is taken as it stands
        return 1
    return value if isinstance(value, int) else 1


def jpeg(image: Image.Image, quality: int, *, subsampling: int = 0) -> bytes:
    """The picture as JPEG; `subsampling` of its colours as Pillow takes it, -1 for Pillow's own choice."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, subsampling=subsampling)
    return out.getvalue()


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=4)
    return out.getvalue()


class _Quiet:
    """How many threads decode now, and how to give the warnings back."""

    lock = threading.Lock()
    depth = 0
    saved: "warnings.catch_warnings[None] | None" = None


@contextmanager
def _pillow_quiet() -> Iterator[None]:
    """No warnings from Pillow: bad files are rejects here, not noise.

    `catch_warnings` restores what it found, so overlapping uses in threads would leave the filter behind: the first
    one in sets it, the last one out takes it away.
    """
    with _Quiet.lock:
        if _Quiet.depth == 0:
            _Quiet.saved = warnings.catch_warnings()
            _Quiet.saved.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.")
        _Quiet.depth += 1
    try:
        yield
    finally:
        with _Quiet.lock:
            _Quiet.depth -= 1
            if _Quiet.depth == 0 and _Quiet.saved is not None:
                _Quiet.saved.__exit__(None, None, None)
                _Quiet.saved = None

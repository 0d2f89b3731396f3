"""Pictures whose files are small and whose decoding is not."""

import io
import struct
import time
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gog.transforms import decode_cost
from gog.transforms.decode_cost import (
    DEAR_SCANS,
    MOST_SCANS,
    MOST_SEGMENTS,
    CostError,
    WatchedFile,
    check_blocks,
    count_scans,
)
from gog.transforms.images import ImageError, ImageLimits, decode_image, load_image

LIMITS = ImageLimits()


def progressive(more: int = 0, side: int = 64) -> bytes:
    """A progressive JPEG, its first scan of fine detail `more` times again at its end."""
    out = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)
    Image.fromarray(noise).save(out, "JPEG", progressive=True, quality=50)
    data = out.getvalue()
    starts = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]
    again = data[starts[1] : data.index(b"\xff\xc4", starts[1])]
    return data[:-2] + again * more + data[-2:]


def test_scans_are_counted() -> None:
    assert count_scans(progressive()) == 10
    assert count_scans(progressive(30)) == 40
    out = io.BytesIO()
    Image.new("RGB", (64, 64), 90).save(out, "JPEG", exif=b"Exif\0\0" + b"\xff\xda\0\x04" * 100)
    assert count_scans(out.getvalue() + b"\xff\xda\0\x02" * 100) == 1  # not those of thumbnails, nor behind the end


def test_a_jpeg_of_many_scans_is_refused_before_it_is_decoded() -> None:
    bomb = progressive(2000, 200)
    began = time.process_time()
    for read in (lambda: load_image(bomb, LIMITS), lambda: decode_image(bomb)):
        with pytest.raises(ImageError, match=f"image_bomb: .*{MOST_SCANS} scans"):
            read()
    assert time.process_time() - began < 2


def test_what_is_dear_is_stored_anew() -> None:
    usual, dear = load_image(progressive(), LIMITS), load_image(progressive(DEAR_SCANS), LIMITS)
    assert (usual.original, dear.original) == (True, False)
    assert count_scans(dear.data) == 1
    assert dear.image.tobytes() == decode_image(dear.data).tobytes()


def test_segments_are_bounded() -> None:
    with pytest.raises(CostError, match="segments"):
        count_scans(b"\xff\xd8" + b"\xff\xe0\0\x02" * (MOST_SEGMENTS + 1))
    for cut in (b"", b"\xff", b"\xff\xd8\xff", b"\xff\xd8\xff\xda\xff", b"\xff" * 1000):
        assert count_scans(cut) <= 1


def test_reading_has_so_much_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = b"P3 900 900 255\n" + b"1 " * (900 * 900 * 3)
    assert load_image(slow, LIMITS).width == 900
    monkeypatch.setattr(decode_cost, "MOST_SECONDS", 0.005)
    with pytest.raises(ImageError, match="image_bomb: reading it takes"):
        load_image(slow, LIMITS)


def test_a_watched_file_is_a_file() -> None:
    assert WatchedFile(b"abc").read() == b"abc"
    assert WatchedFile(b"abc").read(2) == b"ab"


def jpeg_2000(side: int, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (side, side), (90, 120, 30)).save(out, "JPEG2000", **options)
    return out.getvalue()


def with_precincts(data: bytes, exponents: int) -> bytes:
    """A JPEG 2000 whose header says of each level how large its precincts are."""
    at = data.index(b"\xff\x52")
    length = int.from_bytes(data[at + 2 : at + 4], "big")
    segment = bytearray(data[at + 4 : at + 2 + length])
    segment[0] |= 1
    segment += bytes([exponents]) * (segment[5] + 1)
    return data[:at] + b"\xff\x52" + struct.pack(">H", len(segment) + 2) + segment + data[at + 2 + length :]


def with_layers(data: bytes, layers: int) -> bytes:
    at = data.index(b"\xff\x52") + 6
    return data[:at] + struct.pack(">H", layers) + data[at + 2 :]


@pytest.mark.parametrize(
    "bomb",
    [
        with_precincts(jpeg_2000(1000, no_jp2=True), 0x11),
        with_precincts(jpeg_2000(1000), 0x00),
        with_layers(jpeg_2000(1000), 65535),
        with_layers(jpeg_2000(1000, codeblock_size=(4, 4)), 100),
    ],
    ids=["precincts of two pixels", "of one, in a box", "layers", "small blocks"],
)
def test_a_jpeg_2000_of_many_blocks_is_refused_before_it_is_decoded(bomb: bytes) -> None:
    began = time.process_time()
    with pytest.raises(ImageError, match="image_bomb: a JPEG 2000 of more than"):
        load_image(bomb, LIMITS)
    assert time.process_time() - began < 1


def test_blocks_of_a_part_count_too() -> None:
    """The header of a part of the picture may say otherwise than the picture's own."""
    data = jpeg_2000(1000, no_jp2=True)
    start = data.index(b"\xff\x90\x00\x0a") + 12
    style = with_layers(data, 65535)
    at = style.index(b"\xff\x52")
    segment = style[at : at + 2 + int.from_bytes(style[at + 2 : at + 4], "big")]
    with pytest.raises(CostError, match="layers"):
        check_blocks(data[:start] + segment + data[start:])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tile_size": (64, 64)},
        {"precinct_size": (64, 64), "codeblock_size": (32, 32), "no_jp2": True},
        {"quality_mode": "rates", "quality_layers": [80, 40, 20, 10]},
    ],
)
def test_usual_jpeg_2000_is_read(options: dict[str, Any]) -> None:
    assert load_image(jpeg_2000(700, **options), LIMITS).width == 700
    for cut in range(0, 200, 7):
        check_blocks(jpeg_2000(64, **options)[:cut])


def test_a_png_of_many_chunks_is_stored_anew() -> None:
    out = io.BytesIO()
    Image.new("RGB", (64, 64), 90).save(out, "PNG")
    empty = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    usual, head = out.getvalue(), out.getvalue().index(b"IDAT") - 4
    split = usual[:head] + empty * (MOST_SEGMENTS + 1) + usual[head:]
    loaded = load_image(split, LIMITS)
    assert not loaded.original
    assert len(loaded.data) < 1000
    assert load_image(usual, LIMITS).original

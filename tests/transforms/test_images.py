import io
import struct
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gog.schemas import Box
from gog.transforms.images import (
    MAX_ASPECT,
    CropSettings,
    ImageError,
    ImageLimits,
    cut_crop,
    decode_image,
    encode,
    is_blank,
    load_image,
    phash,
    sha256_hex,
)

LIMITS = ImageLimits()
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def picture(width: int = 64, height: int = 48, seed: int = 0) -> Image.Image:
    """Smooth colours, so that JPEG keeps them nearly."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 255, (4, 5, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def corners(width: int = 80, height: int = 40) -> Image.Image:
    """Red at the top left, green at the top right, blue at the bottom left, white at the bottom right."""
    image = Image.new("RGB", (width, height), WHITE)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


def file_of(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def close(a: object, b: tuple[int, int, int], slack: int = 6) -> bool:
    assert isinstance(a, tuple)
    return all(abs(x - y) <= slack for x, y in zip(a, b, strict=True))


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_bomb(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def webp_bomb() -> bytes:
    size = (16383 - 1).to_bytes(3, "little")
    extended = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + size + size
    animation = b"ANIM" + struct.pack("<I", 6) + b"\0" * 6
    return b"RIFF" + struct.pack("<I", 4 + len(extended) + len(animation)) + b"WEBP" + extended + animation


def gif_bomb() -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b",\0\0\0\0\xff\xff\xff\xff\0\x02\x02\x44\x01\0;"


def tiff_bomb() -> bytes:
    data = bytearray(file_of(Image.new("L", (40, 40)), "TIFF"))
    offset = struct.unpack("<I", data[4:8])[0]
    for index in range(struct.unpack("<H", data[offset : offset + 2])[0]):
        entry = offset + 2 + 12 * index
        if struct.unpack("<H", data[entry : entry + 2])[0] in (256, 257):
            data[entry + 2 : entry + 12] = struct.pack("<HII", 4, 1, 60000)
    return bytes(data)


def reason(data: bytes, limits: ImageLimits = LIMITS) -> str:
    with pytest.raises(ImageError) as caught:
        load_image(data, limits)
    assert "\n" not in caught.value.detail
    assert caught.value.detail
    return caught.value.reason


class TestRefused:
    @pytest.mark.parametrize(
        "data",
        [
            png_bomb(20_000, 20_000),
            png_bomb(10_000, 9_000),  # where Pillow itself would only warn
            png_bomb(0x7FFFFFFF, 0x7FFFFFFF),
            webp_bomb(),
            gif_bomb(),
            tiff_bomb(),
        ],
        ids=["png", "png-warning", "png-largest", "webp", "gif", "tiff"],
    )
    def test_bombs_by_their_header(self, data: bytes) -> None:
        assert reason(data) == "ingest.image_bomb"

    def test_the_limit_of_pixels_is_exact(self) -> None:
        data = file_of(picture(60, 50), "PNG")
        assert load_image(data, ImageLimits(max_pixels=3000)).width == 60
        assert reason(data, ImageLimits(max_pixels=2999)) == "ingest.image_bomb"

    def test_a_file_above_the_limit_of_bytes(self) -> None:
        data = file_of(picture(), "PNG")
        assert reason(data, ImageLimits(max_bytes=len(data) - 1)) == "ingest.image_bomb"

    @pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 27)])
    def test_tiny(self, size: tuple[int, int]) -> None:
        assert reason(file_of(Image.new("RGB", size), "PNG")) == "ingest.image_tiny"

    def test_thinner_than_a_model_accepts(self) -> None:
        assert reason(file_of(Image.new("RGB", (28 * 201, 28)), "PNG")) == "ingest.image_tiny"

    @pytest.mark.parametrize(
        "data",
        [b"", b"x", b"<html>not found</html>", bytes(range(256)) * 20, b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"],
    )
    def test_garbage(self, data: bytes) -> None:
        assert reason(data) == "ingest.image_unreadable"

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
    def test_truncated(self, kind: str) -> None:
        data = file_of(picture(200, 150), kind)
        assert reason(data[: len(data) * 2 // 3]) == "ingest.image_unreadable"

    @pytest.mark.parametrize("kind", ["TGA", "DDS", "PCX", "EPS"])
    def test_formats_off_the_list(self, kind: str) -> None:
        assert reason(file_of(picture(), kind)) == "ingest.image_unreadable"

    @settings(max_examples=60, deadline=None)
    @given(
        kind=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]),
        cut=st.floats(0, 1),
        edits=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=8),
    )
    def test_damaged_files_are_read_or_refused(self, kind: str, cut: float, edits: list[tuple[float, int]]) -> None:
        data = bytearray(file_of(picture(), kind))
        for place, value in edits:
            data[int(place * len(data))] = value
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                loaded = load_image(bytes(data[: 1 + int(cut * len(data))]), LIMITS)
            except ImageError:
                return
        assert loaded.image.mode == "RGB"
        assert decode_image(loaded.data).tobytes() == loaded.image.tobytes()


class TestKept:
    @pytest.mark.parametrize(
        ("kind", "mode", "suffix"),
        [
            ("JPEG", "RGB", "jpg"),
            ("JPEG", "L", "jpg"),
            ("PNG", "RGB", "png"),
            ("PNG", "L", "png"),
            ("WEBP", "RGB", "webp"),
        ],
    )
    def test_plain_files_are_stored_as_they_came(self, kind: str, mode: str, suffix: str) -> None:
        data = file_of(picture().convert(mode), kind)
        loaded = load_image(data, LIMITS)
        assert (loaded.data, loaded.suffix, loaded.original) == (data, suffix, True)
        assert (loaded.width, loaded.height, loaded.image.mode) == (64, 48, "RGB")
        assert loaded.sha256 == sha256_hex(data)

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
    def test_exif_orientation(self, kind: str, orientation: int) -> None:
        upright = corners()
        back: dict[int, Callable[[Image.Image], Image.Image]] = {
            1: lambda i: i,
            2: lambda i: i.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
            3: lambda i: i.transpose(Image.Transpose.ROTATE_180),
            4: lambda i: i.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
            5: lambda i: i.transpose(Image.Transpose.TRANSPOSE),
            6: lambda i: i.transpose(Image.Transpose.ROTATE_90),
            7: lambda i: i.transpose(Image.Transpose.TRANSVERSE),
            8: lambda i: i.transpose(Image.Transpose.ROTATE_270),
        }
        exif = Image.Exif()
        exif[0x0112] = orientation
        quality = {} if kind in ("PNG", "TIFF") else {"quality": 95}
        loaded = load_image(file_of(back[orientation](upright), kind, exif=exif, **quality), LIMITS)
        assert (loaded.width, loaded.height) == (80, 40)
        for place, colour in [((5, 5), RED), ((75, 5), GREEN), ((5, 35), BLUE), ((75, 35), WHITE)]:
            assert close(loaded.image.getpixel(place), colour)
        assert loaded.original is (orientation == 1 and kind != "TIFF")
        assert decode_image(loaded.data).tobytes() == loaded.image.tobytes()

    def test_damaged_exif_does_not_lose_the_picture(self) -> None:
        data = file_of(picture(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01\x03")
        assert load_image(data, LIMITS).width == 64

    def test_cmyk_jpeg(self) -> None:
        loaded = load_image(file_of(corners().convert("CMYK"), "JPEG", quality=95), LIMITS)
        assert close(loaded.image.getpixel((5, 5)), RED, 12)
        assert close(loaded.image.getpixel((75, 35)), WHITE, 12)
        assert (loaded.suffix, loaded.original) == ("jpg", False)

    @pytest.mark.parametrize("kind", ["PNG", "TIFF"])
    def test_sixteen_bits_are_scaled_not_clipped(self, kind: str) -> None:
        ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (40, 1))
        loaded = load_image(file_of(Image.fromarray(ramp), kind), LIMITS)
        row = np.asarray(loaded.image)[0, :, 0].astype(int)
        assert np.abs(row - np.linspace(0, 255, 64)).max() <= 1
        assert (loaded.suffix, loaded.original) == ("png", False)

    def test_sixteen_bit_colour_png_is_stored_in_eight(self) -> None:
        line = b"\0" + struct.pack(">HHH", 65535, 32768, 0) * 40
        header = struct.pack(">IIBBBBB", 40, 40, 16, 2, 0, 0, 0)
        data = (
            b"\x89PNG\r\n\x1a\n"
            + png_chunk(b"IHDR", header)
            + png_chunk(b"IDAT", zlib.compress(line * 40))
            + png_chunk(b"IEND", b"")
        )
        loaded = load_image(data, LIMITS)
        assert close(loaded.image.getpixel((3, 3)), (255, 128, 0), 1)
        assert loaded.original is False

    @pytest.mark.parametrize("top", [1.0, 255.0, 90000.0])
    def test_floats(self, top: float) -> None:
        ramp = np.tile(np.linspace(0, top, 64).astype(np.float32), (40, 1))
        ramp[5, 5] = np.nan
        row = np.asarray(load_image(file_of(Image.fromarray(ramp), "TIFF"), LIMITS).image)[0, :, 0].astype(int)
        assert np.abs(row - np.linspace(0, 255, 64)).max() <= 1

    @pytest.mark.parametrize(
        ("kind", "mode"),
        [("PNG", "RGBA"), ("PNG", "LA"), ("WEBP", "RGBA"), ("TIFF", "RGBA"), ("PNG", "P"), ("GIF", "RGBA")],
    )
    def test_transparency_lies_on_white(self, kind: str, mode: str) -> None:
        image = Image.new("RGBA", (40, 40), (0, 0, 0, 255))
        image.paste((0, 0, 0, 0), (20, 0, 40, 40))
        options = {"lossless": True} if kind == "WEBP" else {}
        loaded = load_image(file_of(image.convert(mode), kind, **options), LIMITS)
        assert loaded.image.getpixel((5, 5)) == (0, 0, 0)
        assert loaded.image.getpixel((35, 5)) == WHITE
        assert loaded.suffix == "png"

    def test_transparent_colour_of_a_png(self) -> None:
        loaded = load_image(file_of(corners(), "PNG", transparency=RED), LIMITS)
        assert loaded.image.getpixel((5, 5)) == (0, 0, 0), "a third of the picture would be lost on white"
        assert loaded.image.getpixel((75, 5)) == GREEN

    @pytest.mark.parametrize("colour", [WHITE, (255, 255, 230), (0, 0, 0), RED, (128, 128, 128)])
    @pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGBA"), ("PNG", "LA"), ("WEBP", "RGBA"), ("PNG", "P")])
    def test_what_lies_on_transparent_ground_is_seen(self, colour: tuple[int, int, int], kind: str, mode: str) -> None:
        image = Image.new("RGBA", (60, 40), (*colour, 0))
        image.paste((*colour, 255), (20, 10, 40, 30))
        options = {"lossless": True} if kind == "WEBP" else {}
        shown = load_image(file_of(image.convert(mode), kind, **options), LIMITS).image
        levels = np.asarray(shown.convert("L")).astype(int)
        assert abs(levels[20, 30] - levels[2, 2]) > 40

    def test_black_and_white_on_transparent_ground_are_both_seen(self) -> None:
        image = Image.new("RGBA", (60, 40), (0, 0, 0, 0))
        image.paste((255, 255, 255, 255), (5, 5, 25, 35))
        image.paste((0, 0, 0, 255), (35, 5, 55, 35))
        shown = load_image(file_of(image, "PNG"), LIMITS).image
        assert len({shown.getpixel(place) for place in ((2, 2), (10, 10), (40, 10))}) == 3

    @pytest.mark.parametrize("kind", ["AVIF", "JPEG2000", "PPM", "ICO"])
    def test_further_formats_become_png(self, kind: str) -> None:
        loaded = load_image(file_of(corners().resize((64, 64)), kind), LIMITS)
        assert (loaded.suffix, loaded.image.size, loaded.original) == ("png", (64, 64), False)
        assert decode_image(loaded.data).tobytes() == loaded.image.tobytes()
        assert reason(file_of(corners(), kind)[:40]) in ("ingest.image_unreadable", "ingest.image_tiny")

    def test_heic_is_named(self) -> None:
        with pytest.raises(ImageError, match="HEIC"):
            load_image(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", LIMITS)

    def test_blank_pictures(self) -> None:
        assert is_blank(Image.new("RGB", (40, 40), RED))
        assert is_blank(decode_image(file_of(Image.new("L", (40, 40), 90), "JPEG")))
        assert not is_blank(corners())

    @pytest.mark.parametrize(
        ("kind", "mode"), [("PNG", "1"), ("PNG", "P"), ("BMP", "RGB"), ("GIF", "L"), ("TIFF", "L")]
    )
    def test_other_modes_become_a_png_of_the_same_pixels(self, kind: str, mode: str) -> None:
        image = corners().convert(mode)
        loaded = load_image(file_of(image, kind), LIMITS)
        assert loaded.image.tobytes() == image.convert("RGB").tobytes()
        assert loaded.suffix == "png"
        assert decode_image(loaded.data).tobytes() == loaded.image.tobytes()

    @pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
    def test_animated_files_give_their_first_frame(self, kind: str) -> None:
        frames = [Image.new("RGB", (40, 40), colour) for colour in (RED, GREEN, BLUE)]
        options = {"lossless": True} if kind == "WEBP" else {}
        data = file_of(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        loaded = load_image(data, LIMITS)
        assert loaded.image.getpixel((20, 20)) == RED
        assert (loaded.suffix, loaded.original) == ("png", False)

    def test_jpeg_with_a_second_picture(self) -> None:
        data = file_of(corners(), "MPO", save_all=True, append_images=[picture(80, 40)], quality=95)
        loaded = load_image(data, LIMITS)
        assert close(loaded.image.getpixel((5, 5)), RED, 12)
        assert (loaded.suffix, loaded.original) == ("jpg", False)

    def test_same_file_same_result(self) -> None:
        data = file_of(corners().convert("CMYK"), "JPEG")
        assert load_image(data, LIMITS).data == load_image(data, LIMITS).data

    def test_what_is_stored_loads_as_itself(self) -> None:
        loaded = load_image(file_of(picture(), "GIF"), LIMITS)
        again = load_image(loaded.data, LIMITS)
        assert (again.data, again.original) == (loaded.data, True)

    def test_warnings_come_back_after_decoding_in_many_threads(self) -> None:
        data = file_of(picture(400, 300), "JPEG")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            before = list(warnings.filters)
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda _: load_image(data, LIMITS), range(64)))
            assert warnings.filters == before


class TestPhash:
    def test_is_sixteen_hex_digits_and_survives_scaling_and_jpeg(self) -> None:
        image = picture(900, 700, seed=3)
        exact = phash(image)
        assert len(exact) == 16
        small = decode_image(file_of(image.resize((450, 350)), "JPEG", quality=80))
        assert bin(int(exact, 16) ^ int(phash(small), 16)).count("1") <= 4
        assert bin(int(exact, 16) ^ int(phash(picture(900, 700, seed=4)), 16)).count("1") >= 12


fractions = st.floats(0, 1, allow_nan=False)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x1, x2 = sorted((draw(fractions), draw(fractions)))
    y1, y2 = sorted((draw(fractions), draw(fractions)))
    return Box(min(x1, 0.999), min(y1, 0.999), max(x2, min(x1, 0.999) + 0.001), max(y2, min(y1, 0.999) + 0.001))


class TestCrops:
    @settings(max_examples=150, deadline=None)
    @given(
        box=boxes(),
        size=st.tuples(st.integers(28, 900), st.integers(28, 900)),
        padding=st.sampled_from([0.0, 0.1, 0.5]),
        min_side=st.sampled_from([1, 56, 2000]),
        max_pixels=st.sampled_from([1024, 20_000, 10_000_000]),
    )
    def test_crops_cover_the_box_and_keep_the_limits(
        self, box: Box, size: tuple[int, int], padding: float, min_side: int, max_pixels: int
    ) -> None:
        width, height = size
        image = Image.new("RGB", size)
        crop, covered = cut_crop(image, box, CropSettings(padding=padding, min_side=min_side, max_pixels=max_pixels))
        assert Box.checked(*covered) == covered
        assert covered.x1 <= box.x1 + 1e-6
        assert covered.y1 <= box.y1 + 1e-6
        assert covered.x2 >= box.x2 - 1e-6
        assert covered.y2 >= box.y2 - 1e-6
        w, h = round((covered.x2 - covered.x1) * width), round((covered.y2 - covered.y1) * height)
        assert w >= min(min_side, width)
        assert h >= min(min_side, height)
        assert max(w, h) <= MAX_ASPECT * min(w, h)
        assert crop.width * crop.height <= max_pixels
        if w * h <= max_pixels:
            assert crop.size == (w, h)

    def test_crops_show_the_original_pixels(self) -> None:
        image = picture(300, 200)
        crop, covered = cut_crop(image, Box(0.5, 0.25, 0.75, 0.75), CropSettings(padding=0.0))
        assert covered == Box(0.5, 0.25, 0.75, 0.75)
        assert crop.tobytes() == image.crop((150, 50, 225, 150)).tobytes()

    def test_padding_is_a_share_of_the_box(self) -> None:
        _, covered = cut_crop(picture(1000, 1000), Box(0.4, 0.4, 0.6, 0.5), CropSettings(padding=0.1))
        assert covered == pytest.approx((0.38, 0.39, 0.62, 0.51))

    def test_a_tiny_box_in_a_corner_grows_inwards(self) -> None:
        crop, covered = cut_crop(picture(500, 400), Box(0.998, 0.998, 1, 1), CropSettings(min_side=56))
        assert crop.size == (56, 56)
        assert (covered.x2, covered.y2) == (1, 1)

    def test_a_thin_box_grows_to_an_accepted_shape(self) -> None:
        crop, _ = cut_crop(picture(6000, 60), Box(0, 0.5, 1, 0.51), CropSettings(padding=0, min_side=1))
        assert crop.size == (6000, 6000 / MAX_ASPECT)

    def test_a_large_crop_is_scaled_down_and_keeps_its_content(self) -> None:
        crop, covered = cut_crop(corners(1600, 800), Box(0, 0, 1, 1), CropSettings(padding=0, max_pixels=80 * 40))
        assert crop.size == (80, 40)
        assert covered == Box(0, 0, 1, 1)
        assert crop.getpixel((5, 5)) == RED
        assert crop.getpixel((75, 35)) == WHITE

    def test_encoding_is_deterministic_and_near_the_pixels(self) -> None:
        image = picture(120, 90)
        data, suffix = encode(image)
        assert (encode(image)[0], suffix) == (data, "jpg")
        difference = np.asarray(decode_image(data)).astype(int) - np.asarray(image).astype(int)
        assert np.abs(difference).mean() < 3

    def test_what_the_source_carried_along_does_not_reach_the_crop(self) -> None:
        plain = file_of(picture(), "JPEG", quality=95)
        noted = file_of(picture(), "JPEG", quality=95, comment=b"secret", icc_profile=b"profile")
        crops = [encode(cut_crop(decode_image(data), Box(0, 0, 1, 1), CropSettings())[0]) for data in (plain, noted)]
        assert crops[0] == crops[1]
        assert b"secret" not in crops[1][0]

"""Decoded images, kept for a while."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gog.schemas import Box
from gog.transforms.image_store import open_image
from gog.transforms.images import (
    CropSettings,
    crop_phash,
    cut_crop,
    encode,
    sha256_hex,
)


def picture(width: int = 64, height: int = 48, seed: int = 0) -> Image.Image:
    """Smooth colours, so that JPEG keeps them nearly."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 255, (4, 5, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def file_of(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


class Bytes:
    """An image store that counts its reads."""

    def __init__(self, *files: bytes) -> None:
        self.files = {sha256_hex(data): data for data in files}
        self.reads = 0

    def read(self, sha256: str) -> bytes:
        self.reads += 1
        return self.files[sha256]

    def has(self, sha256: str) -> bool:
        return sha256 in self.files

    def put(self, data: bytes, suffix: str) -> str:
        raise NotImplementedError


class TestDecodedImages:
    def test_decodes_once(self) -> None:
        data = file_of(picture(100, 100, 11), "PNG")
        store = Bytes(data)
        assert open_image(store, sha256_hex(data)) is open_image(store, sha256_hex(data))
        assert store.reads == 1

    def test_missing_is_a_key_error(self) -> None:
        with pytest.raises(KeyError):
            open_image(Bytes(), "0" * 64)

    def test_many_threads_cut_the_same_crop(self) -> None:
        data = file_of(picture(500, 400), "JPEG")
        store = Bytes(data)
        barrier = threading.Barrier(8)

        def cut(_: int) -> bytes:
            barrier.wait()
            return encode(cut_crop(open_image(store, sha256_hex(data)), Box(0.1, 0.1, 0.6, 0.7), CropSettings())[0])[0]

        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(cut, range(8)))) == 1

    def test_twins_have_near_hashes(self) -> None:
        image = picture(600, 500, seed=7)
        settings = CropSettings(padding=0)
        one = crop_phash(image, Box(0.1, 0.1, 0.6, 0.6), settings)
        twin = crop_phash(image, Box(0.102, 0.1, 0.602, 0.6), settings)
        other = crop_phash(image, Box(0.5, 0.4, 1, 1), settings)
        distances = [bin(int(one, 16) ^ int(hash_, 16)).count("1") for hash_ in (twin, other)]
        assert distances[0] <= 10
        assert distances[1] >= 16

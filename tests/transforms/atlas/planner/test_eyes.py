"""The eyes look once at a picture, whoever asks."""

import asyncio
import io
import threading

from fakes import MemoryImages
from PIL import Image

from gog.transforms.atlas.planner.eyes import NOTHING, Eyes


class Counting(MemoryImages):
    """Remembers which threads read."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[int] = []

    def read(self, sha256: str) -> bytes:
        self.readers.append(threading.get_ident())
        return super().read(sha256)


def picture(colour: str) -> bytes:
    image = Image.new("RGB", (90, 60), "grey")
    image.paste(Image.new("RGB", (40, 30), colour), (20, 10))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_those_who_ask_at_once_wait_for_one_look_on_another_thread() -> None:
    images = Counting()
    sha256 = images.put(picture("gold"), "png")
    eyes = Eyes(images)

    async def ask() -> None:
        await asyncio.gather(*(eyes.open(sha256) for _ in range(20)))

    asyncio.run(ask())
    asyncio.run(ask())
    assert len(eyes.look(sha256).spots) == 1
    assert Eyes(images).look(sha256) == eyes.look(sha256)
    assert len(images.readers) == 1
    assert images.readers != [threading.get_ident()]


def test_a_picture_that_comes_later_is_seen_then() -> None:
    images = Counting()
    data = picture("teal")
    sha256 = MemoryImages().put(data, "png")
    eyes = Eyes(images)
    asyncio.run(eyes.open(sha256))
    assert eyes.look(sha256) is NOTHING
    images.put(data, "png")
    asyncio.run(eyes.open(sha256))
    assert eyes.look(sha256).width == 90

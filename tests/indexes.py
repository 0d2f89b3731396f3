"""Indexes of one's own, asked as a run asks them."""

import asyncio

from fakes import MemoryImages
from textures import jpeg, texture

from gog.pipelines.connect.addresses import open_at
from gog.transforms.services.providers import IMAGE_SEARCHES, TEXT_SEARCHES

FILES = {f"{name}.jpg": jpeg(texture(number, 120, 90), 90) for number, name in enumerate(("cat", "dog", "tower"))}
"""Photographs, as it were."""


def find(address: str, asked: str | bytes) -> list[str]:
    """Titles of what words, or a picture, find in the index at an address."""
    images = MemoryImages()
    if isinstance(asked, str):
        hits = asyncio.run(open_at(TEXT_SEARCHES, f"corpus:{address}").search(asked, 3))
    else:
        hits = asyncio.run(
            open_at(IMAGE_SEARCHES, f"gallery:{address}", images=images).search(images.put(asked, "jpg"), 3)
        )
    return [hit.title for hit in hits]

"""Crops and their perceptual hashes, made once: pure work, but worth keeping beside the answers of the outside."""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

from gog.schemas import Box, EpisodeImage, canonical_json
from gog.transforms.image_store import ImageStore, open_image
from gog.transforms.images import CropSettings, crop_phash, cut_crop, encode
from gog.transforms.services.store.keys import request_key
from gog.transforms.services.store.records import AnyStore, Entry, Kept, Mode

VERSION = "crops:1"


class Cropper:
    """Cuts crops out of originals and keeps their bytes in the image store."""

    def __init__(
        self, store: AnyStore, images: ImageStore, settings: CropSettings, found: ImageStore | None = None
    ) -> None:
        """`settings` are part of a crop's identity; pictures that are found go to `found`, where that is another."""
        self._store, self._images = store, images
        self._found = images if found is None else found
        self.settings = settings

    async def crop(self, original: EpisodeImage, box: Box) -> EpisodeImage:
        """The crop of a box on the original, with the box that it really covers (padding included)."""

        def cut() -> dict[str, Any]:
            image, covered = cut_crop(open_image(self._images, original.sha256), box, self.settings)
            sha256 = self._images.put(*encode(image))
            return {"sha256": sha256, "width": image.width, "height": image.height, "box": list(covered)}

        made = await self._kept("crop", [original.sha256, list(box)], cut, lambda v: self._images.has(v["sha256"]))
        return EpisodeImage.model_validate({**made, "on_image": original.on_image})

    def keep(self, data: bytes, suffix: str) -> str:
        """Keep a picture that was found; its hash."""
        return self._found.put(data, suffix)

    def has(self, sha256: str) -> bool:
        """Whether a picture is kept."""
        return self._images.has(sha256)

    def size(self, sha256: str) -> tuple[int, int]:
        """Width and height of a picture that is kept. Raises `KeyError` and `ImageError`."""
        return open_image(self._images, sha256).size

    async def hashes(self, original: EpisodeImage, boxes: Sequence[Box]) -> list[str]:
        """Perceptual hashes (16 hex digits) of the boxes' crops, in order."""

        def compute() -> list[str]:
            image = open_image(self._images, original.sha256)
            return [crop_phash(image, box, self.settings) for box in boxes]

        listed = [list(box) for box in boxes]
        found: list[str] = await self._kept("crop_hashes", [original.sha256, listed], compute)
        return found

    async def _kept(
        self, kind: str, what: list[Any], compute: Callable[[], Any], usable: Callable[[Any], bool] = lambda _: True
    ) -> Any:
        request = canonical_json([kind, VERSION, self.settings.model_dump(mode="json"), what])
        key = request_key(request)
        kept = await self._store.find(key)
        if kept is not None and kept.answer is not None:
            value = json.loads(kept.answer)
            if usable(value):
                return value
        value = await asyncio.to_thread(compute)
        if self._store.mode is Mode.RECORD:
            await self._store.put(Entry(key, kind, VERSION, "crop", request, Kept(canonical_json(value))))
        return value

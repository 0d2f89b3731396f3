"""`ultralytics:WEIGHTS`: YOLO, and YOLO-World or YOLOE with phrases of the question (extra `detect`).

Ultralytics is under AGPL-3.0, and a `.pt` file runs code when it is loaded: take weights from whom you trust. Its
usage reports and its installing of packages on its own are switched off.
"""

import os
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, Final

from gog.schemas import Box, BoxError, FailureClass, plain
from gog.transforms.extras import install
from gog.transforms.image_store import ImageStore, open_image
from gog.transforms.images import ImageError
from gog.transforms.services.batches import Batches
from gog.transforms.services.detectors.settings import DetectSettings
from gog.transforms.services.protocols import Detection, ServiceError
from gog.transforms.services.provider import Provider, ProviderError
from gog.transforms.services.weights import file_hash

ANYTHING: Final = ("object",)
"""What an open-vocabulary model looks for when the question names nothing."""


class UltralyticsDetector:
    """A `Detector` over one model. One instance a process: calls in flight go through it in batches."""

    def __init__(self, weights: str, images: ImageStore, settings: DetectSettings) -> None:
        """Loads the weights; a published name such as `yolo11n.pt` is fetched once. Raises `ProviderError`."""
        os.environ.setdefault("YOLO_AUTOINSTALL", "false")
        try:
            import torch
            from ultralytics import YOLO
            from ultralytics.utils.events import events
        except (ImportError, RuntimeError) as error:
            said = str(error).splitlines()[0][:200]
            raise ProviderError(f"ultralytics cannot be imported ({said}): {install('detect')}") from None
        events.enabled = False
        try:
            self._model: Any = YOLO(weights)
        except Exception as error:  # it raises whatever its many parts do
            said = (str(error) or type(error).__name__).splitlines()[0][:200]
            raise ProviderError(f"ultralytics:{weights}: cannot be loaded: {said}") from None
        self.open_vocabulary = hasattr(self._model, "set_classes")
        self._device = settings.device or ("cuda:0" if torch.cuda.is_available() else "cpu")
        self._images, self._settings = images, settings
        found = Path(getattr(self._model, "ckpt_path", None) or weights)
        self.id = f"ultralytics:{found.stem}@{file_hash(found) if found.is_file() else 'untrained'}{settings.suffix}"
        self._batches: Batches[str, tuple[Detection, ...]] = Batches(self._detect, settings.batch)

    async def detect(self, image_sha256: str, phrases: tuple[str, ...]) -> tuple[Detection, ...]:
        """Detections, best first; `phrases` are what an open-vocabulary model looks for. Raises `ServiceError`."""
        return await self._batches((phrases or ANYTHING) if self.open_vocabulary else None, image_sha256)

    def _detect(self, phrases: Hashable, hashes: Sequence[str]) -> list[tuple[Detection, ...] | Exception]:
        pictures = [self._load(sha256) for sha256 in hashes]
        good = [picture for picture in pictures if not isinstance(picture, Exception)]
        if self.open_vocabulary and isinstance(phrases, tuple):
            self._model.set_classes(list(phrases))
        told = self._settings
        results = iter(
            self._model.predict(
                good,
                conf=told.confidence,
                iou=told.iou,
                imgsz=told.image_size,
                max_det=told.limit,
                device=self._device,
                half=self._device != "cpu",
                verbose=False,
                save=False,
            )
            if good
            else ()
        )
        return [one if isinstance(one, Exception) else read_result(next(results)) for one in pictures]

    def _load(self, sha256: str) -> Any:
        try:
            return open_image(self._images, sha256)
        except KeyError:
            return ServiceError(FailureClass.NOT_FOUND, f"no image {sha256[:12]}")
        except ImageError as error:
            return ServiceError(FailureClass.BAD_REQUEST, str(error))


def read_result(result: Any) -> tuple[Detection, ...]:
    """An ultralytics result (boxes as fractions, scores, label numbers) as detections, best first."""
    boxes = result.boxes
    if boxes is None:
        return ()
    found = []
    for corners, score, label in zip(boxes.xyxyn.tolist(), boxes.conf.tolist(), boxes.cls.tolist(), strict=True):
        try:
            box = Box.checked(*(min(1.0, max(0.0, float(value))) for value in corners))
        except BoxError:
            continue
        name = result.names[int(label)]
        found.append(Detection(box, plain(str(name))[:100], round(min(1.0, max(0.0, float(score))), 4)))
    return tuple(sorted(found, key=lambda one: (-one.score, one.box)))


DETECTOR = Provider(
    name="ultralytics",
    rest="either",
    example="ultralytics:yolo11n.pt",
    packages=("ultralytics",),
    extra="detect",
    fits=lambda opening: bool(opening.rest),
    open=lambda opening: UltralyticsDetector(opening.rest, opening.images, opening.of(DetectSettings)),
)

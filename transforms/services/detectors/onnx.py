"""`onnx:FILE`, a YOLO-style detector as an ONNX file, through onnxruntime (extra `onnx`).

The file names its labels in its metadata, as ultralytics' export writes it (`names`: a Python dict as text).
"""

import ast
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gog.schemas import FailureClass, plain
from gog.transforms.image_store import ImageStore, open_image
from gog.transforms.images import ImageError
from gog.transforms.services.batches import Batches
from gog.transforms.services.detectors.settings import DetectSettings
from gog.transforms.services.detectors.yolo_head import HeadError, Letterbox, detections, letterbox
from gog.transforms.services.protocols import Detection, ServiceError
from gog.transforms.services.provider import Opening, Provider, ProviderError
from gog.transforms.services.weights import file_hash

_LONGEST_NAMES: Final = 1_000_000


class OnnxDetector:
    """A `Detector` over one model file. One instance a process: calls in flight go through it in batches."""

    def __init__(self, path: Path, images: ImageStore, settings: DetectSettings) -> None:
        """Opens the file. Raises `ProviderError`."""
        import onnxruntime

        if not path.is_file():
            raise ProviderError(f"onnx:{path}: there is no such file")
        self.id = f"onnx:{path.stem}@{file_hash(path)}{settings.suffix}"
        self._images, self._settings = images, settings
        try:
            self._session = onnxruntime.InferenceSession(str(path), providers=_providers(onnxruntime, settings.device))
        except Exception as error:  # onnxruntime has a class for each of a dozen failures
            raise ProviderError(f"onnx:{path}: not a model that runs: {str(error).splitlines()[0][:200]}") from None
        self._input = self._session.get_inputs()[0]
        self._names = names_of(self._session.get_modelmeta().custom_metadata_map, path)
        self._height, self._width, self._several = canvas_of(list(self._input.shape), settings.image_size, path)
        self._kind = np.float16 if "float16" in self._input.type else np.float32
        self._batches: Batches[str, tuple[Detection, ...]] = Batches(self._detect, settings.batch)

    async def detect(self, image_sha256: str, phrases: tuple[str, ...]) -> tuple[Detection, ...]:
        """Detections, best first; the labels are fixed, so `phrases` change nothing. Raises `ServiceError`."""
        return await self._batches(None, image_sha256)

    def _detect(self, group: Hashable, hashes: Sequence[str]) -> list[tuple[Detection, ...] | Exception]:
        placed = [self._load(sha256) for sha256 in hashes]
        good = [one for one in placed if not isinstance(one, Exception)]
        outputs: list[NDArray[Any]] = []
        size = len(good) if self._several else 1
        for start in range(0, len(good), max(1, size)):
            batch = np.stack([array for array, _ in good[start : start + size]]).astype(self._kind)
            outputs += list(self._session.run(None, {self._input.name: batch})[0])
        found = iter(outputs)
        return [one if isinstance(one, Exception) else self._read(next(found), one[1]) for one in placed]

    def _load(self, sha256: str) -> tuple[NDArray[np.float32], Letterbox] | Exception:
        try:
            return letterbox(open_image(self._images, sha256), self._width, self._height)
        except KeyError:
            return ServiceError(FailureClass.NOT_FOUND, f"no image {sha256[:12]}")
        except ImageError as error:
            return ServiceError(FailureClass.BAD_REQUEST, str(error))

    def _read(self, output: NDArray[Any], placed: Letterbox) -> tuple[Detection, ...] | Exception:
        told = self._settings
        try:
            return detections(output, self._names, placed, told.confidence, told.iou, told.limit)
        except HeadError as error:
            return ServiceError(FailureClass.MALFORMED, str(error))


def names_of(metadata: Mapping[str, str], path: Path) -> list[str]:
    """Labels by number, out of a model's metadata. Raises `ProviderError`."""
    said = metadata.get("names", "")
    try:
        loaded = ast.literal_eval(said) if len(said) <= _LONGEST_NAMES else None
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        loaded = None
    if isinstance(loaded, dict) and loaded:
        loaded = [loaded.get(number) for number in range(len(loaded))]
    if not isinstance(loaded, list) or not loaded or not all(isinstance(name, str) for name in loaded):
        raise ProviderError(f"onnx:{path}: no labels in its metadata; export it with ultralytics, or add `names`")
    return [plain(name)[:100] for name in loaded]


def canvas_of(shape: list[Any], size: int, path: Path) -> tuple[int, int, bool]:
    """Height and width of what the model sees, and whether it takes several pictures at once.

    `shape` is its input's: (pictures, 3, height, width), names where a size is free. Raises `ProviderError`.
    """
    if len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != 3):
        raise ProviderError(f"onnx:{path}: its input is {shape}; expected pictures as (n, 3, height, width)")
    pictures, _, height, width = shape
    if isinstance(pictures, int) and pictures != 1:
        raise ProviderError(f"onnx:{path}: it takes {pictures} pictures at once; export it with batch 1 or dynamic")
    rounded = -(-size // 32) * 32
    return (
        height if isinstance(height, int) else rounded,
        width if isinstance(width, int) else rounded,
        not isinstance(pictures, int),
    )


def _providers(onnxruntime: Any, device: str) -> list[Any]:
    there = onnxruntime.get_available_providers()
    if device == "cpu" or "CUDAExecutionProvider" not in there:
        return ["CPUExecutionProvider"]
    number = device.removeprefix("cuda").removeprefix(":")
    options = {"device_id": number} if number.isdigit() else {}
    return [("CUDAExecutionProvider", options), "CPUExecutionProvider"]


def _fits(opening: Opening) -> bool:
    if opening.rest and not Path(opening.rest).is_file():
        raise ProviderError(f"{opening.address}: there is no such file")
    return bool(opening.rest)


DETECTOR = Provider(
    name="onnx",
    rest="path",
    example="onnx:model.onnx",
    packages=("onnxruntime",),
    extra="onnx",
    fits=_fits,
    open=lambda opening: OnnxDetector(Path(opening.rest), opening.images, opening.of(DetectSettings)),
)

"""Ultralytics models with random weights: the code path is real, what they find is noise."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from fakes import MemoryImages

from gog.schemas import Box
from gog.schemas.boxes import iou
from gog.transforms.atlas.rows import atlas_row
from gog.transforms.images import decode_image, encode
from gog.transforms.services.detectors.onnx import OnnxDetector
from gog.transforms.services.detectors.settings import DetectSettings
from gog.transforms.services.detectors.ultralytics import UltralyticsDetector
from gog.transforms.services.protocols import Detection, Detector
from gog.transforms.services.provider import ProviderError

pytestmark = [pytest.mark.detect, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

NOISE = DetectSettings(confidence=0.0, image_size=320, limit=10)


@pytest.fixture(scope="module", autouse=True)
def yolo(tmp_path_factory: pytest.TempPathFactory) -> Any:
    os.environ |= {"YOLO_OFFLINE": "true", "YOLO_CONFIG_DIR": str(tmp_path_factory.mktemp("yolo"))}
    from cpu_torchvision import make_importable

    make_importable()
    import torch
    from ultralytics import YOLO

    torch.manual_seed(0)
    return YOLO


def calibrate(network: Any) -> None:
    """Let the fresh weights' normalisation see some noise: until then every picture looks the same to them."""
    import torch

    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = 1.0
    network.train()
    with torch.no_grad():
        network(torch.rand(4, 3, 320, 320))
    network.eval()
    for branch in network.model[-1].cv3:
        branch[-1].weight.data *= 0.005  # scores of exactly 1 would be in no order


@pytest.fixture(scope="module")
def weights(yolo: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.pt"
    model = yolo("yolo11n.yaml")
    calibrate(model.model)
    model.save(str(path))
    return path


@pytest.fixture(scope="module")
def images() -> MemoryImages:
    return MemoryImages()


@pytest.fixture(scope="module")
def hashes(images: MemoryImages) -> list[str]:
    # Square, as the canvas is: a batch of one shape is letterboxed as each alone.
    pictures = [decode_image(atlas_row(0, index).image).resize((320, 320)) for index in range(3)]
    return [images.put(*encode(picture)) for picture in pictures]


def boxes_of(detector: Detector, hashes: list[str], phrases: tuple[str, ...] = ()) -> list[tuple[Detection, ...]]:
    async def go() -> list[tuple[Detection, ...]]:
        return await asyncio.gather(*(detector.detect(sha256, phrases) for sha256 in hashes))

    return asyncio.run(go())


def test_a_yolo_finds_boxes_in_batches_as_one_by_one(weights: Path, images: MemoryImages, hashes: list[str]) -> None:
    detector = UltralyticsDetector(str(weights), images, NOISE)
    assert detector.id.startswith("ultralytics:tiny@")
    assert not detector.open_vocabulary
    together = boxes_of(detector, hashes)
    for sha256, found in zip(hashes, together, strict=True):
        assert found
        assert all(Box.checked(*one.box) == one.box for one in found)
        (alone,) = boxes_of(detector, [sha256])
        assert iou(alone[0].box, found[0].box) > 0.99
    assert together[0] != together[1] != together[2]


def test_an_export_to_onnx_finds_the_same(yolo: Any, weights: Path, images: MemoryImages, hashes: list[str]) -> None:
    exported = Path(yolo(str(weights)).export(format="onnx", imgsz=320, dynamic=True, simplify=False))
    ours = boxes_of(OnnxDetector(exported, images, NOISE), hashes)
    theirs = boxes_of(UltralyticsDetector(str(exported), images, NOISE), hashes)
    for one, other in zip(ours, theirs, strict=True):
        assert [found.score for found in one] == pytest.approx([found.score for found in other], abs=0.01)
        assert iou(one[0].box, other[0].box) > 0.95
        assert one[0].label == other[0].label


def test_an_open_vocabulary_model_gets_the_questions_phrases(images: MemoryImages, hashes: list[str]) -> None:
    class Vocabulary:
        """Stands for a YOLO-World, whose text encoder cannot be had without its hub."""

        def __init__(self) -> None:
            self.asked: list[tuple[list[str], int]] = []

        def set_classes(self, names: list[str]) -> None:
            self.names = names

        def predict(self, pictures: list[Any], **told: Any) -> list[Any]:
            self.asked.append((self.names, len(pictures)))
            return [type("Result", (), {"boxes": None})() for _ in pictures]

    detector = UltralyticsDetector("yolo11n.yaml", images, NOISE)
    detector.open_vocabulary, model = True, Vocabulary()
    detector._model = model
    boxes_of(detector, hashes, ("clock", "tower"))
    boxes_of(detector, hashes[:1])
    assert model.asked[0][0] == ["clock", "tower"]
    assert sum(count for names, count in model.asked if names == ["clock", "tower"]) == 3
    assert model.asked[-1] == (["object"], 1)


def test_no_weights_say_so(yolo: Any, images: MemoryImages, tmp_path: Path) -> None:
    (tmp_path / "bad.pt").write_bytes(b"no weights")
    with pytest.raises(ProviderError, match="cannot be loaded"):
        UltralyticsDetector(str(tmp_path / "bad.pt"), images, NOISE)

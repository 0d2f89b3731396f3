"""ONNX files: what a model writes is found on the picture, batched; bad files are refused with what to do."""

import asyncio
import io
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from fakes import MemoryImages
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from gog.schemas import Box, FailureClass
from gog.schemas.boxes import iou
from gog.transforms.services.detectors.onnx import OnnxDetector
from gog.transforms.services.detectors.settings import DetectSettings
from gog.transforms.services.protocols import Detector, ServiceError
from gog.transforms.services.provider import ProviderError

HEAD = np.array([[16, 32, 32, 32, 0.9, 0.1], [48, 32, 16, 16, 0.2, 0.8]], np.float32).T
"""Two boxes (centre and size on a canvas of 64 pixels) with the scores of two labels, as v8 writes them."""


def write_model(
    path: Path, shape: list[Any], names: str | None = "{0: 'clock', 1: 'flag'}", half: bool = False
) -> Path:
    """A model that writes `HEAD` for each picture, its scores times the brightest value of the picture."""
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    head = HEAD.astype(np.float16 if half else np.float32)[None]
    gain = np.ones_like(head)
    gain[:, 4:] = 0
    constants = {"head": head, "gain": gain, "pixels": np.array([1, 2, 3]), "last": np.array([3])}
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMax", ["images", "pixels"], ["brightest"], keepdims=1),
            helper.make_node("Squeeze", ["brightest", "last"], ["level"]),
            helper.make_node("Max", ["level", "gain"], ["factor"]),
            helper.make_node("Mul", ["factor", "head"], ["output"]),
        ],
        "detector",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info("output", kind, [shape[0], 6, 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    if names is not None:
        helper.set_model_props(model, {"names": names})
    onnx.save(model, str(path))
    return path


def picture(images: MemoryImages, red: int = 255, size: tuple[int, int] = (200, 100)) -> str:
    data = io.BytesIO()
    Image.new("RGB", size, (red, 0, 0)).save(data, "PNG")
    return images.put(data.getvalue(), "png")


@pytest.mark.parametrize(
    ("shape", "half"),
    [
        ([1, 3, 64, 64], False),
        (["n", 3, 64, 64], False),
        (["n", 3, "h", "w"], False),
        ([1, 3, 64, 64], True),
    ],
)
def test_detections_lie_on_the_picture(tmp_path: Path, shape: list[Any], half: bool) -> None:
    images = MemoryImages()
    path = write_model(tmp_path / "m.onnx", shape, half=half)
    detector: Detector = OnnxDetector(path, images, DetectSettings(image_size=64))
    first = asyncio.run(detector.detect(picture(images), ()))
    assert [(one.label, round(one.score, 2)) for one in first] == [("clock", 0.9), ("flag", 0.8)]
    assert iou(first[0].box, Box(0.0, 0.0, 0.5, 1.0)) > 0.98
    assert iou(first[1].box, Box(0.625, 0.25, 0.875, 0.75)) > 0.98
    second = asyncio.run(detector.detect(picture(images, red=0, size=(64, 64)), ()))
    assert second == (), "a dark picture lowers the scores of this model to nothing"


def test_calls_in_flight_each_get_their_own(tmp_path: Path) -> None:
    images = MemoryImages()
    detector = OnnxDetector(write_model(tmp_path / "m.onnx", ["n", 3, 64, 64]), images, DetectSettings())
    hashes = [picture(images, red, (64, 64)) for red in (255, 0, 254, 1, 253)]

    async def go() -> list[Any]:
        return await asyncio.gather(
            *(detector.detect(sha256, ()) for sha256 in [*hashes, "0" * 64]), return_exceptions=True
        )

    *found, missing = asyncio.run(go())
    assert [len(one) for one in found] == [2, 0, 2, 0, 2]
    assert isinstance(missing, ServiceError)
    assert missing.failure is FailureClass.NOT_FOUND


def test_the_id_is_of_the_weights_and_what_changes_answers(tmp_path: Path) -> None:
    one = write_model(tmp_path / "a.onnx", [1, 3, 64, 64])
    other = write_model(tmp_path / "b.onnx", [1, 3, 64, 64], names="['clock', 'boat']")
    images = MemoryImages()
    ids = [
        OnnxDetector(one, images, DetectSettings()).id,
        OnnxDetector(one, images, DetectSettings(batch=1)).id,
        OnnxDetector(one, images, DetectSettings(confidence=0.5)).id,
        OnnxDetector(other, images, DetectSettings()).id,
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


@pytest.mark.parametrize(
    ("shape", "names", "said"),
    [
        ([1, 3, 64, 64], None, "no labels"),
        ([1, 3, 64, 64], "__import__('os').getcwd()", "no labels"),
        ([1, 3, 64, 64], "{0: 'a', 2: 'c'}", "no labels"),
        ([4, 3, 64, 64], "{0: 'a', 1: 'b'}", "4 pictures at once"),
    ],
)
def test_a_file_that_cannot_serve_says_what_to_do(
    tmp_path: Path, shape: list[Any], names: str | None, said: str
) -> None:
    path = write_model(tmp_path / "m.onnx", shape, names)
    with pytest.raises(ProviderError, match=said):
        OnnxDetector(path, MemoryImages(), DetectSettings())


def test_no_file_and_no_model(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match="no such file"):
        OnnxDetector(tmp_path / "none.onnx", MemoryImages(), DetectSettings())
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(ProviderError, match="not a model"):
        OnnxDetector(tmp_path / "bad.onnx", MemoryImages(), DetectSettings())


def test_labels_that_do_not_fit_the_head_are_malformed(tmp_path: Path) -> None:
    images = MemoryImages()
    detector = OnnxDetector(
        write_model(tmp_path / "m.onnx", [1, 3, 64, 64], "['a', 'b', 'c']"), images, DetectSettings()
    )
    with pytest.raises(ServiceError) as caught:
        asyncio.run(detector.detect(picture(images), ()))
    assert caught.value.failure is FailureClass.MALFORMED

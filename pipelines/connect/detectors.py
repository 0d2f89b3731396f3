"""From a detector's address in the config to the detector.

segments:               the embedded one, no weights
ultralytics:WEIGHTS     YOLO, YOLO-World, YOLOE: a file, or a published name such as yolo11n.pt
onnx:FILE               a YOLO-style model file
http://HOST/detect      one's own, `#VERSION` behind it; the key in GOG_DETECTOR_KEY
"""

import os
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from gog.pipelines.config.config import ConfigError
from gog.transforms.images import ImageStore
from gog.transforms.services.detectors.onnx import OnnxDetector
from gog.transforms.services.detectors.remote import RemoteDetector
from gog.transforms.services.detectors.segments import Segments
from gog.transforms.services.detectors.settings import DetectorError, DetectSettings
from gog.transforms.services.detectors.ultralytics import UltralyticsDetector
from gog.transforms.services.http import key_in
from gog.transforms.services.protocols import Detector

KEY = "GOG_DETECTOR_KEY"


def open_detector(address: str, images: ImageStore, settings: DetectSettings) -> Detector:
    """The detector at an address; loads its weights. Raises `ConfigError`."""
    check_detector(address)
    scheme, _, name = address.partition(":")
    try:
        match scheme:
            case "segments":
                return Segments(images)
            case "ultralytics":
                return UltralyticsDetector(name, images, settings)
            case "onnx":
                return OnnxDetector(Path(name), images, settings)
            case _:
                return RemoteDetector(address, images, settings, os.environ.get(KEY, ""))
    except DetectorError as error:
        raise ConfigError(str(error)) from None


def check_detector(address: str) -> None:
    """Raise `ConfigError` on an address that nobody fills; opens nothing."""
    scheme, _, name = address.partition(":")
    known = scheme == "segments" or (scheme in ("ultralytics", "onnx") and name)
    if not known and not _host(address):
        raise ConfigError(
            f"{address!r} is no address of a detector; for example 'segments:', 'ultralytics:yolo11n.pt', "
            "'onnx:model.onnx' or 'http://localhost:9000/detect'"
        )
    if scheme in ("http", "https") and (found := key_in(address)):
        raise ConfigError(
            f"{scheme}://{_host(address)}: no key in an address ({found}); the key goes into the variable {KEY}"
        )
    if scheme == "onnx" and not Path(name).is_file():
        raise ConfigError(f"{address}: there is no such file")


def check_installed(address: str) -> None:
    """Raise `ConfigError` where the package of the address's detector is not there; loads nothing."""
    for scheme, package, extra in (("ultralytics", "ultralytics", "detect"), ("onnx", "onnxruntime", "onnx")):
        if address.startswith(f"{scheme}:") and find_spec(package) is None:
            raise ConfigError(f"{address}: {package} is not installed: pip install 'glance-or-gaze[{extra}]'")


def _host(address: str) -> str | None:
    """Host of an http or https address; None of any other."""
    try:
        parts = urlsplit(address)
        return parts.hostname if parts.scheme in ("http", "https") and parts.port != 0 else None
    except ValueError:
        return None

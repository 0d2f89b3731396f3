"""From addresses to detectors."""

import sys

import pytest

from gog.pipelines.config.config import Config, ConfigError
from gog.pipelines.connect.addresses import check_addresses, check_packages

KEY = "planted-0123456789"


@pytest.mark.parametrize(
    "address", ["segments:", "ultralytics:yolo11n.pt", "http://h:9000/detect#2", "https://[::1]/x"]
)
def test_addresses_that_somebody_fills(address: str) -> None:
    check_addresses(Config(detector=address))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("yolo", "no address of a detector"),
        ("ultralytics:", "no address of a detector"),
        ("http://", "no address of a detector"),
        ("http://[::1/detect", "no address of a detector"),
        ("http://h:port/detect", "no address of a detector"),
        ("onnx:nowhere.onnx", "no such file"),
    ],
)
def test_addresses_that_nobody_fills(address: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        check_addresses(Config(detector=address))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        f"http://u:{KEY}@h/detect",
        f"http://h/detect?access_token={KEY}",
        f"http://h/detect?jwt={KEY}",
        f"http://h/detect?{KEY}",
    ],
)
def test_a_key_in_an_address_is_refused_and_not_shown(address: str) -> None:
    with pytest.raises(ConfigError, match="GOG_DETECTOR_KEY") as caught:
        check_addresses(Config(detector=address))
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(("address", "package"), [("ultralytics:y.pt", "ultralytics"), ("onnx:y.onnx", "onnxruntime")])
def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, address: str, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=f"{package} is not installed: pip install"):
        check_packages(Config(detector=address))
    check_packages(Config())

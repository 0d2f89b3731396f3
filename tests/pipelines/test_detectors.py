"""From addresses to detectors."""

import pytest

from gog.pipelines.config import ConfigError
from gog.pipelines.detectors import check_detector

KEY = "planted-0123456789"


@pytest.mark.parametrize(
    "address", ["segments:", "ultralytics:yolo11n.pt", "http://h:9000/detect#2", "https://[::1]/x"]
)
def test_addresses_that_somebody_fills(address: str) -> None:
    check_detector(address)


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
        check_detector(address)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", [f"http://u:{KEY}@h/detect", f"http://h/detect?access_token={KEY}"])
def test_a_key_in_an_address_is_refused_and_not_shown(address: str) -> None:
    with pytest.raises(ConfigError, match="GOG_DETECTOR_KEY") as caught:
        check_detector(address)
    assert KEY not in str(caught.value)

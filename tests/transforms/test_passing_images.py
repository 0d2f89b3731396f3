"""Images in memory."""

import pytest
from fakes import picture

from gog.transforms.passing_images import PassingImages


def test_images_pass() -> None:
    images = PassingImages()
    sha256 = images.put(picture(), "png")
    assert images.has(sha256)
    assert images.read(sha256) == picture()
    images.clear()
    assert not images.has(sha256)
    with pytest.raises(KeyError):
        images.read(sha256)

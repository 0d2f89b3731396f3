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


def test_those_that_were_not_asked_for_since_are_forgotten() -> None:
    images = PassingImages()
    put, read, asked = (images.put(data, "png") for data in (b"put", b"read", b"asked"))
    moment = images.moment()
    images.read(read)
    assert images.has(asked)
    again = images.moment()
    assert again > moment
    images.forget(moment)
    assert [images.has(name) for name in (put, read, asked)] == [False, True, True]
    images.forget(images.moment())
    assert not any(map(images.has, (read, asked)))
    assert images.has(images.put(b"put", "png"))

"""Placeholders of pictures in questions become the numbers that an episode gives them, where that is plain."""

import pytest

from gog.transforms.ingest.placeholders import without_placeholders


@pytest.mark.parametrize(
    ("question", "images", "wanted"),
    [
        ("<image>Who is it?", 1, "Who is it?"),
        ("Is <IMAGE> older?", 1, "Is older?"),
        ("<image><image>Which is older?", 2, "Which is older?"),
        ("<image>\n<image>\nWhich is older?", 2, "Which is older?"),
        ("Is <image> older than <image>?", 2, "Is image 0 older than image 1?"),
        ("<image> Is this older than <image>?", 2, "image 0 Is this older than image 1?"),
        ("Is <image 1> older than <image 2>?", 2, "Is image 0 older than image 1?"),
        ("Is <image 2> older than <image 1>?", 2, "Is image 1 older than image 0?"),
        ("Is <image_0> older than <img-1>?", 2, "Is image 0 older than image 1?"),
        ("Is <image 3> older than <image 1>?", 2, "Is <image 3> older than <image 1>?"),
        ("Is <image 2> older?", 1, "Is <image 2> older?"),
        ("Is <image> older?", 2, "Is older?"),
        ("Is <image> older than <image> and <image>?", 2, "Is older than and ?"),
    ],
)
def test_of_each_question(question: str, images: int, wanted: str) -> None:
    assert " ".join(without_placeholders(question, images).split()) == wanted

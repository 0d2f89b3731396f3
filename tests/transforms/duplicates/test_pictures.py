"""Which pictures are alike: copies, parts, and flat ones that are not."""

import random
from itertools import count

import numpy as np
import pytest
from PIL import Image, ImageDraw
from textures import jpeg, texture

from gog.transforms.duplicates.fingerprints import thumbnail
from gog.transforms.duplicates.pictures import Pictures, speaking
from gog.transforms.duplicates.window import WINDOW, Shown
from gog.transforms.images import decode_image, phash, sha256_hex


class Shelf:
    """Pictures by name, and the index that is asked about them."""

    def __init__(self, window: int = WINDOW) -> None:
        self.names, self.kept = dict[str, str](), dict[str, Image.Image]()
        self.pictures = Pictures(self.kept.__getitem__, window=window)
        self.places = count()

    def add(self, name: str, image: Image.Image) -> tuple[str, ...]:
        """What the picture is like; it is known then."""
        shown = self._shown(name, image)
        self.kept[shown.sha256] = image
        (found,) = self.pictures.like([shown._replace(small=thumbnail(image))])
        return tuple(self.names[sha256] for sha256 in found)

    def know(self, name: str, image: Image.Image) -> None:
        """A picture from before, whose file is gone."""
        self.pictures.add(self._shown(name, image))

    def _shown(self, name: str, image: Image.Image) -> Shown:
        sha256 = sha256_hex(name.encode())
        self.names[sha256] = name
        return Shown(next(self.places), sha256, int(phash(image), 16))


def sign(mark: str) -> Image.Image:
    """A flat picture: a white card with a large ring and a small mark in it."""
    image = Image.new("RGB", (240, 240), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((20, 20, 220, 220), outline="black", width=16)
    draw.text((100, 90), mark, fill="black", font_size=50)
    return image


def test_flat_pictures_that_share_a_perceptual_hash_are_told_apart() -> None:
    shelf = Shelf()
    assert [shelf.add(mark, sign(mark)) for mark in "ABCD"] == [()] * 4
    assert shelf.add("again", sign("C").resize((180, 180))) == ("C",)


@pytest.mark.parametrize("side", [0.5, 0.75])
def test_copies_and_crops_are_found_in_either_order(side: float) -> None:
    draw = random.Random(3)
    for number in range(2):
        whole = texture(number, 400, 300)
        left, top = (int(draw.uniform(0, 1 - side) * length) for length in whole.size)
        part = whole.crop((left, top, left + int(400 * side), top + int(300 * side)))
        for first, second in ((whole, part), (part, whole)):
            shelf = Shelf()
            for other in range(20, 23):
                assert shelf.add(str(other), texture(other, 400, 300)) == ()
            assert shelf.add("first", first) == ()
            assert shelf.add("second", decode_image(jpeg(second, 85))) == ("first",)


def test_a_part_that_says_nothing_is_no_copy() -> None:
    shelf = Shelf()
    umlaut = sign("")
    ImageDraw.Draw(umlaut).rectangle((60, 0, 90, 12), fill="black")
    assert shelf.add("ring", umlaut.crop((0, 16, 240, 240))) == ()
    assert shelf.add("ring with a dot", umlaut) == ()


def test_pictures_known_before_are_opened_when_they_are_needed_and_one_that_is_gone_is_like_nothing() -> None:
    shelf = Shelf()
    whole = texture(1, 400, 300)
    shelf.know("gone", whole)
    shelf.know("kept", whole)
    shelf.kept[sha256_hex(b"kept")] = whole
    assert shelf.add("copy", whole.resize((200, 150))) == ("kept",)


def test_parts_are_looked_for_among_the_last_rows_and_copies_among_all() -> None:
    shelf = Shelf(window=4)
    for number in range(9):
        assert shelf.add(str(number), texture(number, 400, 300)) == ()
    assert shelf.add("copy", texture(1, 400, 300).resize((300, 225))) == ("1",)
    assert shelf.add("part of the last but one", texture(7, 400, 300).crop((50, 40, 250, 190))) == ("7",)
    assert shelf.add("part of one long ago", texture(2, 400, 300).crop((50, 40, 250, 190))) == ()


def test_half_of_a_flat_sign_is_found_by_the_edge_that_cuts_it() -> None:
    shelf = Shelf()
    assert [shelf.add(mark, sign(mark)) for mark in "AB"] == [()] * 2
    assert "A" in shelf.add("half", sign("A").crop((0, 0, 120, 240)))


def test_a_drawing_in_two_colours_says_nothing_and_a_third_colour_or_a_shade_does() -> None:
    drawing = sign("A").resize((48, 48), Image.Resampling.BILINEAR)
    assert speaking(np.asarray(drawing, dtype=np.float64)) < 0.02
    assert speaking(np.zeros((24, 24, 3))) == 0
    for other in ("red", "gray"):
        drawn = drawing.copy()
        ImageDraw.Draw(drawn).rectangle((18, 18, 30, 30), fill=other)
        assert speaking(np.asarray(drawn, dtype=np.float64)) > 0.02

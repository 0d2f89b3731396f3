"""Drawings in two colours: a piece that was cut through the drawing is known, a shape of its own is not."""

import pytest
from PIL import Image, ImageDraw

from gog.transforms.duplicates.cut_out import cut_out

ELSEWHERE = ((0.3, 0.8), (0.4, 0.9))


def ring(mark: bool = False) -> Image.Image:
    """A ring of 200 pixels beside a white margin; with a mark above it."""
    image = Image.new("RGB", (260, 300), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((30, 70, 230, 270), outline="black", width=24)
    if mark:
        draw.rectangle((110, 10, 150, 40), fill="black")
    return image


def test_a_piece_with_an_edge_through_the_drawing_was_cut_out() -> None:
    whole = ring()
    piece = whole.crop((52, 30, 182, 180))
    assert cut_out(piece, whole, (30 / 300, 180 / 300), (52 / 260, 182 / 260))


@pytest.mark.parametrize("beside", [-3, 2])
def test_it_is_found_a_little_beside_where_it_was_fitted(beside: int) -> None:
    whole = ring()
    piece = whole.crop((52, 30, 182, 180))
    rows, columns = ((30 + beside) / 300, (180 + beside) / 300), ((52 - beside) / 260, (182 - beside) / 260)
    assert cut_out(piece, whole, rows, columns)
    assert not cut_out(piece, whole, *ELSEWHERE)


def test_a_shape_of_its_own_is_no_piece_of_another_that_holds_it() -> None:
    whole = ring(mark=True)
    box = (0, 55, 260, 300)
    assert not cut_out(whole.crop(box), whole, (55 / 300, 1.0), (0.0, 1.0))


def test_another_scale_and_other_pixels_are_no_piece() -> None:
    whole = ring()
    piece = whole.crop((52, 30, 182, 180))
    place = (30 / 300, 180 / 300), (52 / 260, 182 / 260)
    assert not cut_out(piece.resize((120, 139)), whole, *place)
    changed = piece.copy()
    changed.putpixel((60, 66), (128, 128, 128))
    assert not cut_out(changed, whole, *place)


def test_a_piece_without_a_drawing_proves_nothing() -> None:
    whole = ring()
    ImageDraw.Draw(whole).rectangle((0, 0, 260, 60), fill="black")
    assert not cut_out(whole.crop((20, 5, 120, 55)), whole, (5 / 300, 55 / 300), (20 / 260, 120 / 260))


def test_a_piece_larger_than_the_whole_is_none() -> None:
    whole = ring()
    assert not cut_out(whole.resize((520, 600)), whole, (0.0, 1.0), (0.0, 1.0))

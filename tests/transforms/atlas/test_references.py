"""References: clear ones only, whichever way they are read."""

from hypothesis import given
from hypothesis import strategies as st

from gog.schemas import Box
from gog.transforms.atlas.references import CORNERS, REFERENCES, SIZES, clear, clear_references, guess


@st.composite
def boxes(draw: st.DrawFn) -> list[Box]:
    found = []
    for _ in range(draw(st.integers(1, 7))):
        w, h = draw(st.floats(0.05, 0.3)), draw(st.floats(0.05, 0.3))
        x, y = draw(st.floats(0, 1 - w)), draw(st.floats(0, 1 - h))
        found.append(Box(x, y, x + w, y + h))
    return found


@given(boxes())
def test_a_clear_reference_is_what_a_plain_reading_gives(found: list[Box]) -> None:
    for reference, index in clear_references(found):
        assert guess(reference, found) == index


@given(boxes(), st.floats(-0.02, 0.02), st.floats(-0.02, 0.02))
def test_a_clear_reference_survives_boxes_read_a_little_wrong(found: list[Box], dx: float, dy: float) -> None:
    for reference, index in clear_references(found):
        b = found[index]
        moved = [*found]
        moved[index] = Box(b.x1 + dx, b.y1 + dy, b.x2 + dx, b.y2 + dy)
        assert guess(reference, moved) == index


@given(boxes())
def test_ends_are_ends_by_edges_too(found: list[Box]) -> None:
    index = clear("leftmost", found)
    if index is not None:
        assert all(found[index].x1 < b.x1 and found[index].x2 < b.x2 for i, b in enumerate(found) if i != index)
    index = clear("second from the bottom", found)
    if index is not None:
        lower = [b for b in found if b.y2 > found[index].y2]
        assert len(lower) == 1
        assert [b for b in found if b.y1 > found[index].y1] == lower


@given(boxes())
def test_sizes_differ_by_a_third_at_least(found: list[Box]) -> None:
    areas = [b.area for b in found]
    for name, best in zip(SIZES, (max(areas), min(areas)), strict=True):
        index = clear(name, found)
        if index is not None:
            assert areas[index] == best
            assert all(max(a, best) / min(a, best) > 1.34 for i, a in enumerate(areas) if i != index)


@given(boxes())
def test_a_corner_holds_one_flag(found: list[Box]) -> None:
    for corner, (x, y) in CORNERS.items():
        index = clear(corner, found)
        if index is not None:
            assert abs(found[index].centre[0] - x) <= 0.4
            assert abs(found[index].centre[1] - y) <= 0.4
            quarter = [b for b in found if abs(b.centre[0] - x) < 0.5 and abs(b.centre[1] - y) < 0.5]
            assert quarter == [found[index]]


def test_one_flag_needs_no_reference() -> None:
    assert clear_references([Box(0.4, 0.4, 0.6, 0.6)]) == []


def test_the_same_place_twice_is_never_clear() -> None:
    box = Box(0.1, 0.1, 0.3, 0.3)
    assert clear_references([box, box]) == []


def test_every_reference_can_be_clear() -> None:
    def at(x: float, y: float, s: float = 0.1) -> Box:
        return Box(x - s / 2, y - s / 2, x + s / 2, y + s / 2)

    row = [at(0.1, 0.1, 0.05), at(0.3, 0.3), at(0.5, 0.5), at(0.7, 0.7), at(0.9, 0.9, 0.18)]
    other = [at(0.1, 0.9), at(0.9, 0.1)]
    named = {reference for reference, _ in clear_references(row)} | {r for r, _ in clear_references(other)}
    for pair in ([at(0.1, 0.15), at(0.9, 0.9)], [at(0.1, 0.5), at(0.5, 0.5)]):
        named |= {reference for reference, _ in clear_references(pair)}
    assert named == set(REFERENCES)

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.transforms.export.coordinates import Boxes, coordinates_in, rewrite_boxes

PLACES = [
    "I look at [120, 300, 480, 620].",
    "The flag is at [0.12, 0.3, 0.48, 0.62], I think.",
    "(120 300 480 620)",
    "the box is 120, 300, 480, 620",
    "bbox_2d is what I need",
    "<|box_start|>(120,300),(480,620)<|box_end|>",
    "from (120, 300) to (480, 620)",
    "it lies at (340, 220)",
    "it lies near (340,220)",
    "at (0.34, 0.22)",
    "its coordinates are 340, 220",
    "centred around the point [340, 220]",
    "x1=120, y1=300, x2=480, y2=620",
    "x: 120 and y: 300",
    "about 340 pixels from the left",
    "at pixel 340",
    "[120,\n   300,\n   480,\n   620]",
    "[12.5, 30.0, 48.5, 62.0]",
    "The flag's top-left is (120, 340) and its bottom-right is (560, 780).",
    "upper left (120, 340), lower right (560, 780)",
    "It spans 120 to 560 horizontally and 340 to 780 vertically.",
    "x from 120 to 560 and y from 340 to 780",
    "between x = 120 and x = 560",
    '{"x1": 120, "y1": 340, "x2": 560, "y2": 780}',
    "rows 340-780, columns 120-560",
    "Its left edge is at 120.",
    "坐标[120，340，560，780]",
    "（120，340）到（560，780）",
    "区域（120, 340, 560, 780）",
    "左上(120, 340)、右下(560, 780)",
    "von (120, 340) bis (560, 780)",
    "الإحداثيات (١٢٠، ٣٤٠) إلى (٥٦٠، ٧٨٠)",
]

HARMLESS = [
    "",
    "It was founded in 1990 and dissolved in 2004.",
    "World cups were held in (1990, 1994, 1998, 2002).",
    "The score was 3:2, then 4 to 1.",
    "2 of 3 searches agree.",
    "(1) look left, (2) look right; (3) answer.",
    "There are 12 flags: 3 red, 4 blue, 5 green.",
    "I count (1, 2, 3, 4) flags.",
    "[1] Kenya | score 0.91",
    "The best hit has 0.91, the second 0.42, the third 0.40, the last 0.12.",
    "An area of 580,367 square kilometres and 47,564,296 people.",
    "Nairobi lies at 1.2864° S, 36.8172° E.",
    "Nairobi (-1.286389, 36.817223) is the capital.",
    "Paris is at (48.8566, 2.3522).",
    "coordinates of the city are 48.8566, 2.3522",
    "The picture is 1024 x 768 pixels.",
    "On May 3, 1990 (aged 45, 2 children) he left.",
    "x is unknown and y is 3.",
    "Section 4.2, page 17",
    "It opened at 10:30 and closed at 18:00.",
    "the point (2, 1) of the agenda",
    "[3, 1, 2, 0]",
    "Image 0 (400 x 300 pixels).",
    "a box with 3 flags and 12 cards",
    "Rome is located at (41.90, 12.50).",
    "The coordinates are 41.90, 12.50.",
    "They won the sets, from (21, 19) to (25, 23).",
    "The sizes sold are (28, 30, 32, 34).",
    "rows 3-5 of the table",
]


@pytest.mark.parametrize("text", PLACES)
def test_finds_places(text: str) -> None:
    assert coordinates_in(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_leaves_other_numbers(text: str) -> None:
    assert coordinates_in(text) is None


@given(
    st.tuples(*[st.integers(0, 999)] * 4).filter(lambda b: b[2] - b[0] > 5 and b[3] - b[1] > 5 and max(b) >= 20),
    st.sampled_from(["[]", "()"]),
    st.sampled_from([", ", ",", " "]),
)
def test_finds_every_box_in_thousandths(box: tuple[int, ...], ends: str, between: str) -> None:
    assert coordinates_in(f"Look at {ends[0]}{between.join(map(str, box))}{ends[1]} now.")


def test_only_known_boxes_are_rewritten() -> None:
    boxes: Boxes = {(1.0, 2.0, 3.0, 4.0): (10.0, 20.0, 30.0, 40.5), (5.0, 6.0, 7.0, 8.0): None}
    text = "[1, 2, 3, 4] (1，2，3，4) 1 2 3 4, but 1.5, 2, 3, 4 and 11, 2, 3, 4; [5,6,7,8]"
    assert rewrite_boxes(text, boxes) == (
        "[10, 20, 30, 40.5] (10，20，30，40.5) 10 20 30 40.5, but 1.5, 2, 3, 4 and 11, 2, 3, 4; []"
    )


@pytest.mark.parametrize("piece", ["(1, ", "[ ", "x=1 ", "at (", "1,2,", "(1,2) ", " "])
def test_takes_no_time_for_hostile_text(piece: str) -> None:
    began = time.process_time()
    assert coordinates_in(piece * 20_000) is None
    assert time.process_time() - began < 5  # a fiftieth of a second; quadratic time would be minutes


@pytest.mark.parametrize(
    ("box", "place"),
    [
        ("0.1, 0.2, 0.5, 0.9", True),
        ("0.1, 0.2, 0.5, 1.0", True),
        ("0, 0, 1, 1", False),
        ("0, 0, 20, 19", True),
        ("0, 0, 19, 19", False),
        ("10.25, 20.5, 30.75, 40.25", True),
        ("10.125, 20.5, 30.75, 40.25", False),
        ("1000, 1200, 2100, 1900", False),
        ("999, 1200, 2100, 1900", True),
        ("1000, 1200, 2101, 1900", True),
        ("1000.5, 1200, 2100, 1900", True),
        ("100, 100, 105, 200", False),
        ("100, 100, 106, 106", True),
        ("100, 100, 200, 105", False),
    ],
)
def test_four_numbers_are_a_box_where_they_fit_a_frame(box: str, place: bool) -> None:
    assert (coordinates_in(f"I look at [{box}] now.") is not None) == place

"""The flags that the planner knows by heart."""

import random

import pytest
from PIL import Image

from gog.transforms.atlas.facts import countries, flag
from gog.transforms.atlas.planner.eyes import GRID, Impression
from gog.transforms.atlas.planner.famous import FAMOUS, named, recognise


def seen(picture: Image.Image, width: int = 60) -> Impression:
    """The impression of a picture as a small one."""
    small = picture.resize((width, round(width * 0.72)), Image.Resampling.BOX)
    cells = small.resize(GRID, Image.Resampling.BOX)
    return tuple(cells.getpixel((x, y)) for y in range(GRID[1]) for x in range(GRID[0]))  # type: ignore[misc]


def test_stripes_of_famous_colours_are_recognised() -> None:
    blue, white, red = (0, 40, 120), (250, 250, 250), (210, 25, 40)
    assert recognise((blue, blue, white, white, red, red) * 4) == "France"
    assert recognise((white,) * 12 + (red,) * 12) == "Poland"


@pytest.mark.parametrize("light", [0.93, 1.0, 1.05])
def test_real_flags_are_recognised_in_other_light(light: float) -> None:
    """Each that it knows by heart is a country's, and is taken for itself or for none."""
    known = {c.name: flag(c.code) for c in countries() if c.name in FAMOUS}
    assert set(known) == set(FAMOUS)
    assert 15 <= len(known) <= 30
    told = {name: recognise(seen(picture.point(lambda v: min(255, v * light)))) for name, picture in known.items()}
    right = [name for name, found in told.items() if found == name]
    assert len(right) >= 0.8 * len(known), told
    assert {found for name, found in told.items() if found != name} <= {None}


def test_most_other_flags_are_taken_for_none() -> None:
    """Some are like a famous one for coarse eyes, and are taken for it: Chad's for Belgium's."""
    others = {c.name: recognise(seen(flag(c.code))) for c in countries() if c.name not in FAMOUS}
    assert others["Chad"] == "Belgium"
    assert sum(found is not None for found in others.values()) <= 0.06 * len(others), others


def test_noise_and_nothing_are_no_flags() -> None:
    rng = random.Random(1)
    assert recognise(()) is None
    assert recognise(((0, 0, 0),) * 24) is None
    for _ in range(50):
        assert recognise(tuple((rng.randrange(256), rng.randrange(256), rng.randrange(256)) for _ in range(24))) is None


def test_the_country_of_a_query() -> None:
    assert named("What is the capital of Japan?") == "Japan"
    assert named("capital of Indiana") == ""
    assert named("") == ""

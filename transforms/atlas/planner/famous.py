"""The famous flags that the planner knows by heart: drawn here from memory, compared with what its eyes see.

They are coarse (stripes, crosses, discs) and independent of any picture that the engine searches or shows.
"""

import re
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from gog.transforms.atlas.planner.eyes import GRID, Impression

ALIKE = 0.89
"""Least likeness (0 to 1) of what is seen to a flag from memory."""
APART = 0.02
"""How much less it has to resemble the next one."""

Canvas = NDArray[np.float64]
_WIDTH, _HEIGHT = 60, 48
_X, _Y = (np.arange(_WIDTH) + 0.5) / _WIDTH, ((np.arange(_HEIGHT) + 0.5) / _HEIGHT)[:, None]
_COLOURS: dict[str, tuple[int, int, int]] = {
    "black": (10, 10, 10),
    "white": (250, 250, 250),
    "red": (208, 18, 38),
    "blue": (0, 50, 150),
    "navy": (0, 35, 102),
    "mid": (0, 90, 170),
    "olive": (140, 130, 60),
    "green": (0, 140, 70),
    "yellow": (253, 208, 20),
    "orange": (255, 140, 40),
}


def _field(colour: str) -> Canvas:
    return np.broadcast_to(np.array(_COLOURS[colour], np.float64), (_HEIGHT, _WIDTH, 3)).copy()


def _put(canvas: Canvas, where: NDArray[np.bool_], colour: str) -> Canvas:
    canvas[np.broadcast_to(where, (_HEIGHT, _WIDTH))] = _COLOURS[colour]
    return canvas


def _stripes(position: NDArray[np.float64], colours: str) -> Canvas:
    """Equal stripes; a colour that is named twice running makes a broad one."""
    names = colours.split()
    canvas = _field(names[0])
    for at, name in enumerate(names):
        _put(canvas, position >= at / len(names), name)
    return canvas


def _down(colours: str) -> Canvas:
    return _stripes(_X, colours)


def _across(colours: str) -> Canvas:
    return _stripes(_Y, colours)


def _disc(canvas: Canvas, colour: str, x: float, y: float, radius: float) -> Canvas:
    """A disc; its radius in fractions of the height, on a canvas of 4 to 3."""
    return _put(canvas, ((_X - x) * 4 / 3) ** 2 + (_Y - y) ** 2 < radius**2, colour)


def _cross(canvas: Canvas, colour: str, x: float, thickness: float) -> Canvas:
    """A cross from edge to edge, its arms `thickness` of the height."""
    return _put(canvas, (np.abs(_X - x) * 4 / 3 < thickness / 2) | (np.abs(_Y - 0.5) < thickness / 2), colour)


def _saltire(canvas: Canvas, colour: str, thickness: float) -> Canvas:
    slant = np.minimum(np.abs(_X - _Y), np.abs(_X + _Y - 1))
    return _put(canvas, slant < thickness / 2, colour)


def _jamaica() -> Canvas:
    side = np.abs(_X - 0.5) > np.abs(_Y - 0.5)
    return _saltire(_put(_field("green"), side, "black"), "yellow", 0.2)


def _brazil() -> Canvas:
    diamond = _put(_field("green"), np.abs(_X - 0.5) / 0.42 + np.abs(_Y - 0.5) / 0.4 < 1, "yellow")
    return _disc(diamond, "navy", 0.5, 0.5, 0.23)


def _kingdom() -> Canvas:
    field = _saltire(_saltire(_field("navy"), "white", 0.2), "red", 0.07)
    return _cross(_cross(field, "white", 0.5, 0.33), "red", 0.5, 0.2)


def _states() -> Canvas:
    field = _across("red white red white red white red white red white red white red")
    return _put(field, (_X < 0.53) & (_Y < 7 / 13), "navy")


_DRAWN: dict[str, Callable[[], Canvas]] = {
    "France": lambda: _down("navy white red"),
    "Italy": lambda: _down("green white red"),
    "Mexico": lambda: _disc(_down("green white red"), "olive", 0.5, 0.5, 0.13),
    "Ireland": lambda: _down("green white orange"),
    "Belgium": lambda: _down("black yellow red"),
    "Nigeria": lambda: _down("green white green"),
    "Peru": lambda: _down("red white red"),
    "Germany": lambda: _across("black red yellow"),
    "Estonia": lambda: _across("mid black white"),
    "Lithuania": lambda: _across("yellow green red"),
    "Jamaica": _jamaica,
    "Austria": lambda: _across("red white red"),
    "Spain": lambda: _across("red yellow yellow red"),
    "Thailand": lambda: _across("red white navy navy white red"),
    "Colombia": lambda: _across("yellow yellow blue red"),
    "India": lambda: _disc(_across("orange white green"), "navy", 0.5, 0.5, 0.08),
    "Ukraine": lambda: _across("mid yellow"),
    "Poland": lambda: _across("white red"),
    "Sweden": lambda: _cross(_field("mid"), "yellow", 0.375, 0.2),
    "Finland": lambda: _cross(_field("white"), "navy", 0.36, 0.27),
    "Denmark": lambda: _cross(_field("red"), "white", 0.38, 0.14),
    "Norway": lambda: _cross(_cross(_field("red"), "white", 0.36, 0.25), "navy", 0.36, 0.125),
    "Japan": lambda: _disc(_field("white"), "red", 0.5, 0.5, 0.3),
    "Bangladesh": lambda: _disc(_field("green"), "red", 0.45, 0.5, 0.33),
    "Canada": lambda: _disc(_down("red white white red"), "red", 0.5, 0.5, 0.22),
    "Brazil": _brazil,
    "United Kingdom": _kingdom,
    "United States": _states,
}
FAMOUS = tuple(_DRAWN)
"""Names of their countries."""
_NAMED = re.compile(rf"\b(?:{'|'.join(_DRAWN)})\b")


@cache
def _memory() -> NDArray[np.float64]:
    """Mean colours of the `FAMOUS` flags on the `GRID`, shape (flags, cells, 3)."""
    columns, rows = GRID
    cells = [
        draw().reshape(rows, _HEIGHT // rows, columns, _WIDTH // columns, 3).mean((1, 3)).reshape(-1, 3)
        for draw in _DRAWN.values()
    ]
    return np.stack(cells)


def recognise(impression: Impression) -> str | None:
    """The country of a famous flag that what is seen resembles, or None. A flag like a famous one is taken for it."""
    known = _memory()
    if len(impression) != known.shape[1]:
        return None
    seen = np.array(impression, np.float64)
    # A picture may hang a little brighter or darker than its colours are.
    light = np.clip((known * seen).sum((1, 2)) / max(1.0, float((seen * seen).sum())), 0.93, 1.1)
    alike = 1 - np.abs(known - light[:, None, None] * seen).mean((1, 2)) / 255
    second, first = (int(at) for at in np.argsort(alike)[-2:])
    if alike[first] < ALIKE or alike[first] - alike[second] < APART:
        return None
    return FAMOUS[first]


def named(text: str) -> str:
    """The famous country that a text names, empty when it names none."""
    match = _NAMED.search(text)
    return match[0] if match else ""

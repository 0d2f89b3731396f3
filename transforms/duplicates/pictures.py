"""Which earlier pictures a picture copies, shows a part of, or holds as a part.

Candidates come by perceptual hash, from all earlier pictures, and by the fingerprints of parts, from those of the last
`WINDOW` rows. Neither can tell flat pictures apart, so the part is fitted, and the pixels decide.

What a picture is like follows from the pictures and their order alone, not from which rows are kept: so it can be found
picture by picture here, and by keys on many workers (`gog.transforms.beam.duplicates`).
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from gog.transforms.duplicates.alignment import fit
from gog.transforms.duplicates.cut_out import cut_out
from gog.transforms.duplicates.fingerprints import Interval, thumbnail
from gog.transforms.duplicates.hashes import DISTANCE, HashesByBand
from gog.transforms.duplicates.window import LOOKED_AT, WINDOW, Candidate, Shown, Window
from gog.transforms.images import ImageError

_SHA256: Final = 32
"""Bytes of it."""
_DETAILS: Final = 0.6
"""Least agreement of details of a part that is fitted."""
_LEVELS: Final = 7.0
"""Mean difference within a block, in levels, from which two pictures differ."""
_SPEAKING: Final = 0.02
"""Least share of a part's pixels that are more than a drawing in two colours: an `o` is a part of every `ö`."""
_OTHER: Final = 24.0
"""Distance from which a colour is another, in levels."""
_CALM: Final = 40.0
"""Range of the values around a pixel, in levels, from which it is an edge."""
_MIXED: Final = 16.0
"""Distance from the line between two colours up to which a colour is a mixture of them."""
_NEARLY_WHOLE: Final = 0.94
"""Sides of a part that may as well be the whole."""
_WHOLE: Final = ((0.0, 1.0), (0.0, 1.0))
_BLOCK: Final = 6
"""Pixels of a block's side."""
_LEAST_BLOCKS: Final = 4
_PART_BLOCKS: Final = 8
"""Blocks of a side: a part is fitted to about a hundredth of its side."""
_WHOLE_BLOCKS: Final = 16

Doubles = npt.NDArray[np.float64]


class Fitted(NamedTuple):
    """Part of the larger of two pictures that the smaller one may show, now that it is fitted."""

    rows: Interval
    columns: Interval
    within_earlier: bool


OpenPicture = Callable[[str], Image.Image]
"""Gives the pixels of a picture by its sha256, or raises `KeyError` or `ImageError`."""


class Pictures:
    """Pictures in the order of the source; each is told which earlier ones it is like."""

    def __init__(self, open_picture: OpenPicture, distance: int = DISTANCE, window: int = WINDOW) -> None:
        """`distance` is in bits of perceptual hashes; parts are looked for among the last rows of the `window`."""
        self._open, self._rows = open_picture, window
        self._hashes, self._places, self._sha256s = HashesByBand(distance), array("q"), bytearray()
        """Of all pictures, in order."""
        self._window = Window(window)
        self._unread: list[Shown] = []
        """Pictures that were known before and not opened yet."""

    def add(self, picture: Shown) -> None:
        """Know a picture from before, later than all that are known; it is made small when that is needed."""
        self._remember(picture)
        self._unread.append(picture)

    def like(self, pictures: Sequence[Shown]) -> Iterator[tuple[str, ...]]:
        """Of each new picture the earlier ones that it copies, shows a part of or holds as a part, in their order.

        `pictures` come after all that are known, in their order, and are known then; parts are looked for of those that
        are made small.
        """
        if pictures:
            recent = [picture for picture in self._unread if picture.place > pictures[0].place - self._rows]
            self._window.add(with_small(picture, self._open) for picture in recent)
            self._unread = []
        for picture, by_parts in zip(pictures, self._window.meet(pictures), strict=True):
            near = [self._known(number) for number in self._hashes.near(picture.phash)[:LOOKED_AT]]
            self._remember(picture)
            found: dict[int, str] = {}
            for candidate in (*map(as_whole, near), *by_parts):
                earlier = candidate.earlier
                if earlier.place not in found and self._same(picture, candidate):
                    found[earlier.place] = earlier.sha256
            yield tuple(found[place] for place in sorted(found))

    def _remember(self, picture: Shown) -> None:
        self._hashes.add(picture.phash)
        self._places.append(picture.place)
        self._sha256s += bytes.fromhex(picture.sha256)

    def _known(self, number: int) -> Shown:
        sha256 = self._sha256s[number * _SHA256 : (number + 1) * _SHA256]
        return Shown(self._places[number], sha256.hex(), self._hashes[number])

    def _same(self, picture: Shown, candidate: Candidate) -> bool:
        earlier = candidate.earlier
        if earlier.small is None:
            earlier = self._window.get(earlier.place) or with_small(earlier, self._open)
        fitted = fitted_part(picture, candidate._replace(earlier=earlier))
        return fitted is not None and same_pixels(self._open, picture.sha256, earlier.sha256, fitted)


def as_whole(earlier: Shown) -> Candidate:
    """An earlier picture that may be the same as a whole."""
    return Candidate(earlier, *_WHOLE, True)


def with_small(picture: Shown, open_picture: OpenPicture) -> Shown:
    """The picture made small; as it is where its file is gone."""
    try:
        return picture._replace(small=thumbnail(open_picture(picture.sha256)))
    except (KeyError, ImageError):
        return picture


def fitted_part(picture: Shown, candidate: Candidate) -> Fitted | None:
    """The part that the smaller of two small pictures may show; None where their details do not agree."""
    mine, theirs = picture.small, candidate.earlier.small
    if mine is None or theirs is None:
        return None
    part, whole = (mine, theirs) if candidate.within_earlier else (theirs, mine)
    fitted = fit(part, whole, candidate.rows, candidate.columns)
    return Fitted(fitted.rows, fitted.columns, candidate.within_earlier) if fitted.score >= _DETAILS else None


def same_pixels(open_picture: OpenPicture, sha256: str, earlier: str, fitted: Fitted) -> bool:
    """Whether the pixels of two pictures say the same as the fitted part."""
    try:
        mine, theirs = open_picture(sha256), open_picture(earlier)
    except (KeyError, ImageError):
        return False
    pair = (mine, theirs) if fitted.within_earlier else (theirs, mine)
    return shows(*pair, fitted.rows, fitted.columns)


def shows(part: Image.Image, whole: Image.Image, rows: Interval, columns: Interval) -> bool:
    """Whether the pixels of one picture are those of a part of another, up to size, compression and half a pixel.

    A part that is nearly the whole has to be the whole; any other has to say enough to be known again.
    """
    if min(rows[1] - rows[0], columns[1] - columns[0]) > _NEARLY_WHOLE:
        return difference(*_pair(part, whole, *_WHOLE, _WHOLE_BLOCKS)) < _LEVELS
    seen, shown = _pair(part, whole, rows, columns, _PART_BLOCKS)
    return difference(seen, shown) < _LEVELS and (speaking(seen) >= _SPEAKING or cut_out(part, whole, rows, columns))


def _pair(
    part: Image.Image, whole: Image.Image, rows: Interval, columns: Interval, most: int
) -> tuple[Doubles, Doubles]:
    """Pixels of the picture and of the other's part, both as small as the smaller, in at most so many blocks a side."""
    left, right = (min(max(edge, 0.0), 1.0) * whole.width for edge in columns)
    top, bottom = (min(max(edge, 0.0), 1.0) * whole.height for edge in rows)
    least = int(min(part.width, part.height, right - left, bottom - top))
    side = _BLOCK * min(max(least // _BLOCK, _LEAST_BLOCKS), most)
    all_of_it = (0.0, 0.0, float(part.width), float(part.height))
    return _pixels(part, all_of_it, side), _pixels(whole, (left, top, right, bottom), side)


def difference(seen: Doubles, shown: Doubles) -> float:
    """How much two pictures of one size differ in their worst block, in levels.

    A pixel differs by what lies outside the values around its place in the other picture, so that a part which is
    fitted half a pixel beside its place still agrees.
    """
    return max(_worst_block(seen, shown), _worst_block(shown, seen))


def speaking(pixels: Doubles) -> float:
    """Share of the pixels that are neither one of the two main colours nor an edge between them.

    A shape in two colours recurs in pictures that have nothing to do with each other (letters, signs, silhouettes); a
    third colour, or a shade that is no edge, hardly does in the same place.
    """
    colours = pixels.reshape(-1, 3)
    _, cube_of, counts = np.unique((colours // 32).astype(np.int64), axis=0, return_inverse=True, return_counts=True)
    means = [colours[cube_of.ravel() == cube].mean(axis=0) for cube in np.argsort(-counts, kind="stable")]
    first = means[0]
    second = next((mean for mean in means if np.linalg.norm(mean - first) > 2 * _OTHER), first)
    axis = (second - first) / max(float(np.linalg.norm(second - first)), 1e-9)
    apart = colours - first
    beside = np.linalg.norm(apart - np.outer(apart @ axis, axis), axis=1)
    nearest = np.minimum(np.linalg.norm(apart, axis=1), np.linalg.norm(colours - second, axis=1))
    calm = (_around(pixels, np.maximum) - _around(pixels, np.minimum)).max(axis=-1).ravel() < _CALM
    return float(((beside > _MIXED) | (calm & (nearest > _OTHER))).mean())


def _pixels(image: Image.Image, box: tuple[float, float, float, float], side: int) -> Doubles:
    small = image.resize((side, side), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)
    return np.asarray(small.convert("RGB"), dtype=np.float64)


def _worst_block(seen: Doubles, shown: Doubles) -> float:
    blocks = len(seen) // _BLOCK
    low, high = _around(shown, np.minimum), _around(shown, np.maximum)
    outside = np.maximum(np.maximum(low - seen, seen - high), 0.0).max(axis=-1)
    return float(outside.reshape(blocks, _BLOCK, blocks, _BLOCK).mean(axis=(1, 3)).max())


def _around(pixels: Doubles, extreme: Any) -> Doubles:
    """The least or greatest value in the 3 x 3 pixels around each."""
    padded = np.pad(pixels, ((1, 1), (1, 1), (0, 0)), mode="edge")
    down = extreme(extreme(padded[:-2], padded[1:-1]), padded[2:])
    around: Doubles = extreme(extreme(down[:, :-2], down[:, 1:-1]), down[:, 2:])
    return around

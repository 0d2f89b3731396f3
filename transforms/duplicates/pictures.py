"""Which earlier pictures a picture copies, shows a part of, or holds as a part.

Candidates come by perceptual hash, from all earlier pictures, and by the fingerprints of parts, from the last `WINDOW`
of them. Neither can tell flat pictures apart, so the part is fitted, and the pixels decide.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from gog.transforms.duplicates.alignment import fit
from gog.transforms.duplicates.cut_out import cut_out
from gog.transforms.duplicates.fingerprints import PARTS, SIZE, Floats, Interval, Small, parts, thumbnail
from gog.transforms.duplicates.key_table import KeyTable, key_of
from gog.transforms.duplicates.near import DISTANCE, band_masks, hamming
from gog.transforms.images import ImageError

WINDOW: Final = 4096
"""Pictures read last, among which parts are looked for: 43 kB each."""

_COSINE: Final = 0.8
"""Least cosine of the fingerprints of a picture and of a part that are worth a look."""
_DETAILS: Final = 0.6
"""Least agreement of details of a part that is fitted."""
_LOOKED_AT: Final = 4
"""Candidates that are fitted, of each kind: the best."""
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


class _Candidate(NamedTuple):
    """An earlier picture, and which part of the larger of the two the smaller may show."""

    order: int
    rows: Interval
    columns: Interval
    within_earlier: bool


class Pictures:
    """Pictures in the order of the source; each is told which earlier ones it is like."""

    def __init__(self, open_picture: Callable[[str], Image.Image], distance: int = DISTANCE) -> None:
        """`open_picture` gives the pixels of a picture by its sha256, or raises `KeyError` or `ImageError`; `distance`
        is in bits of perceptual hashes.
        """
        self._open, self._distance = open_picture, distance
        self._masks = band_masks(distance)
        self._by_band = KeyTable()
        self._names: list[tuple[str, int]] = []
        """Sha256 and perceptual hash, by order."""
        self._smalls: list[Small | None] = []
        """Of the pictures read last: that of order n is at n modulo `WINDOW`."""
        self._parts = np.zeros((0, len(PARTS), SIZE), dtype=np.float32)
        """Their fingerprints, at the same places."""
        self._unread: set[int] = set()
        """Places of pictures that were known before and not opened yet."""

    def add(self, sha256: str, phash_hex: str, small: Small | None = None) -> None:
        """Know a picture; where it is not made small yet, that is done when it is needed."""
        order, value = len(self._names), int(phash_hex, 16)
        self._names.append((sha256, value))
        for band, mask in enumerate(self._masks):
            self._by_band.add(key_of(band, value & mask), order)
        if order == len(self._parts) < WINDOW:
            more = np.zeros((min(WINDOW, max(64, 2 * order)), len(PARTS), SIZE), dtype=np.float32)
            more[:order] = self._parts
            self._parts = more
        place = order % WINDOW
        if order < WINDOW:
            self._smalls.append(None)
        self._hold(place, small)

    def like(self, sha256: str, phash_hex: str, small: Small) -> tuple[str, ...]:
        """Earlier pictures that this one copies, shows a part of or holds as a part, in their order."""
        for place in sorted(self._unread):
            self._hold(place, self._made_small(self._order(place)))
        self._unread.clear()
        found: set[int] = set()
        for candidate in (*self._near(int(phash_hex, 16)), *self._by_parts(small)):
            if candidate.order not in found and self._same(sha256, small, candidate):
                found.add(candidate.order)
        return tuple(self._names[order][0] for order in sorted(found))

    def _hold(self, place: int, small: Small | None) -> None:
        self._smalls[place] = small
        self._unread.discard(place)
        if small is None:
            self._unread.add(place)
            self._parts[place] = 0
        else:
            self._parts[place] = parts(small.grey)

    def _order(self, place: int) -> int:
        """Order of the picture at a place of the window."""
        return place + (len(self._names) - 1 - place) // WINDOW * WINDOW

    def _made_small(self, order: int) -> Small | None:
        """None where its file is gone."""
        try:
            return thumbnail(self._open(self._names[order][0]))
        except (KeyError, ImageError):
            return None

    def _near(self, value: int) -> Iterator[_Candidate]:
        """The pictures with the nearest perceptual hashes."""
        near = {
            (hamming(value, self._names[order][1]), order)
            for band, mask in enumerate(self._masks)
            for order in self._by_band.find(key_of(band, value & mask), WINDOW)
        }
        for _, order in sorted(pair for pair in near if pair[0] <= self._distance)[:_LOOKED_AT]:
            yield _Candidate(order, *_WHOLE, True)

    def _by_parts(self, small: Small) -> Iterator[_Candidate]:
        """The pictures with the nearest parts, either way."""
        known = len(self._smalls)
        mine, theirs = parts(small.grey), self._parts[:known]
        for within_earlier in (True, False):
            cosines: Floats = theirs @ mine[0] if within_earlier else (theirs[:, :1] @ mine.T)[:, 0]
            best = cosines.argmax(axis=1)
            highest = cosines[np.arange(known), best]
            for place in np.argsort(-highest, kind="stable")[:_LOOKED_AT]:
                if highest[place] >= _COSINE:
                    rows, columns = PARTS[best[place]]
                    yield _Candidate(self._order(int(place)), rows, columns, within_earlier)

    def _same(self, sha256: str, small: Small, candidate: _Candidate) -> bool:
        inside = candidate.order >= len(self._names) - WINDOW
        earlier = self._smalls[candidate.order % WINDOW] if inside else self._made_small(candidate.order)
        if earlier is None:
            return False
        part, whole = (small, earlier) if candidate.within_earlier else (earlier, small)
        fitted = fit(part, whole, candidate.rows, candidate.columns)
        if fitted.score < _DETAILS:
            return False
        try:
            mine, theirs = self._open(sha256), self._open(self._names[candidate.order][0])
        except (KeyError, ImageError):
            return False
        pair = (mine, theirs) if candidate.within_earlier else (theirs, mine)
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

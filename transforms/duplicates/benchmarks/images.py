"""An index of images that finds copies of them: resized, recompressed, cropped and mirrored.

Three stages, each of which sees only what the one before let through. Keys: the signs of the fingerprint's first
numbers; the benchmark's side has a key for every view and its mirror image, the asking side tries the keys that differ
in its least certain signs. Fingerprints: the cosine of the angle between them. Details: `alignment.fit`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from gog.transforms.duplicates.alignment import fit, tint_agreement
from gog.transforms.duplicates.fingerprints import (
    MIRROR,
    SIZE,
    VIEWS,
    Floats,
    Interval,
    Small,
    Thumbs,
    blank,
    mirrored,
    thumbnail,
    view_box,
    views,
)

Codes = npt.NDArray[np.int8]
Numbers = npt.NDArray[np.int64]

COSINE: Final = 0.84
"""Least cosine of two fingerprints that are worth a look at details."""
TINT: Final = 0.5
"""Least agreement of the layout of colours, where both have colours."""
VERIFIED: Final = 4
"""Images whose details are looked at, for one that is asked for; those of the best cosine."""

_SCALE: Final = 127
_UNCERTAIN: Final = 12
_PROBES: Final = 128
_BLOCK: Final = 8192


def _flips() -> Numbers:
    """Sets of signs to turn over, likeliest first, as rows of 0 and 1 from the least certain sign on."""
    ranks = range(_UNCERTAIN)
    sets = (chosen for count in range(6) for chosen in combinations(ranks, count))
    likely = sorted(sets, key=lambda chosen: (sum(rank + 1 for rank in chosen), chosen))[:_PROBES]
    return np.array([[int(rank in chosen) for rank in ranks] for chosen in likely], dtype=np.int64)


_FLIPS: Final = _flips()


class ImageMatch(NamedTuple):
    """A copy: which image of the index, how well details agree (at most 1), and which part was compared."""

    image: int
    score: float
    mirrored: bool
    part: bool
    """Whether the image that was asked for shows a part of the one in the index; otherwise it is the other way."""
    rows: Interval
    columns: Interval

    @property
    def how(self) -> str:
        """In words."""
        sides = self.columns[1] - self.columns[0], self.rows[1] - self.rows[0]
        across, down = (f"{min(1.0, side):.0%}" for side in sides)
        whole = min(sides) > 0.97
        shows = "the same picture" if whole else f"{across} by {down} of {'it' if self.part else 'this one'}"
        return f"{shows}{', mirrored' if self.mirrored else ''}, agreement {self.score:.2f}"


class Candidates(NamedTuple):
    """Pairs that have near fingerprints, ordered by `asked`."""

    asked: Numbers
    image: Numbers
    view: Numbers
    mirrored: npt.NDArray[np.bool_]
    cosine: Floats


@dataclass(frozen=True, slots=True)
class _Keys:
    """Entries by key: those of key k are `order[starts[k]:starts[k + 1]]`."""

    bits: int
    order: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int32]

    @classmethod
    def of(cls, codes: Codes) -> "_Keys":
        """Entry 2 i is code i, entry 2 i + 1 its mirror image."""
        bits = int(np.clip(np.ceil(np.log2(max(2 * len(codes), 1))) + 2, _UNCERTAIN, 24))
        keys = np.empty(2 * len(codes), dtype=np.int32)
        mirror = MIRROR.astype(np.int8)
        for start in range(0, len(codes), 1 << 18):
            block = codes[start : start + (1 << 18)]
            keys[2 * start : 2 * (start + len(block)) : 2] = _key(block, bits)
            keys[2 * start + 1 : 2 * (start + len(block)) : 2] = _key(block * mirror, bits)
        order = np.argsort(keys, kind="stable").astype(np.int32)
        counts = np.bincount(keys, minlength=1 << bits)
        return cls(bits, order, np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))

    def entries(self, asked: Floats) -> tuple[Numbers, Numbers]:
        """Pairs (row of `asked`, entry) that share a key which is tried."""
        first = asked[:, : self.bits]
        unsure = np.argpartition(np.abs(first), _UNCERTAIN - 1, axis=1)[:, :_UNCERTAIN]
        order = np.argsort(np.take_along_axis(np.abs(first), unsure, axis=1), axis=1, kind="stable")
        turned = np.left_shift(np.int64(1), np.take_along_axis(unsure, order, axis=1)) @ _FLIPS.T
        probes = (_key(first, self.bits)[:, None] ^ turned).ravel()
        starts = self.starts[probes].astype(np.int64)
        counts = self.starts[probes + 1] - starts
        filled = np.flatnonzero(counts)
        starts, counts = starts[filled], counts[filled]
        ends = np.cumsum(counts)
        within = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)
        entries: Numbers = self.order[np.repeat(starts, counts) + within].astype(np.int64)
        return np.repeat(filled // _PROBES, counts), entries


def _key(numbers: npt.NDArray[np.number], bits: int) -> Numbers:
    powers = np.left_shift(np.int64(1), np.arange(bits, dtype=np.int64))
    return (numbers[:, :bits] > 0).astype(np.int64) @ powers


class ImageIndex:
    """Images to be found again. A million that are asked for by fingerprint take seconds against 10,000."""

    def __init__(self, grey: Thumbs, tint: Thumbs) -> None:
        """Index small pictures (n x `SIDE` x `SIDE`, n x `TINT_SIDE` x `TINT_SIDE` x 2).

        About a second and 200 MB for 10,000, 500 MB for that second.
        """
        self.grey, self.tint = grey, tint
        self._codes = _image_codes(grey)
        self._parts = _Keys.of(self._codes)
        self._wholes = _Keys.of(self._codes[::VIEWS])

    def __len__(self) -> int:
        return len(self.grey)

    def find(self, image: Image.Image, least: float) -> list[ImageMatch]:
        """Images of which this one shows a part, or which show a part of this one; best first."""
        return self.find_small(thumbnail(image), least)

    def find_small(self, small: Small, least: float) -> list[ImageMatch]:
        """The same for an image made small before."""
        if not len(self) or blank(small):
            return []
        seen = views(small.grey)
        best: dict[int, ImageMatch] = {}
        turned = mirrored(small)
        for part, candidates in ((True, self.candidates(seen[:1])), (False, self._larger(seen))):
            for at in _best(candidates):
                match = self._compared(turned if candidates.mirrored[at] else small, candidates, at, part)
                better = match.image not in best or match.score > best[match.image].score
                if match.score >= least and better:
                    best[match.image] = match
        return sorted(best.values(), key=lambda match: (-match.score, match.image))

    def _compared(self, mine: Small, candidates: Candidates, at: int, part: bool) -> ImageMatch:
        """A candidate looked at in detail; `mine` is mirrored where the candidate is."""
        image, flip = int(candidates.image[at]), bool(candidates.mirrored[at])
        theirs = Small(self.grey[image], self.tint[image])
        rows, columns = view_box(int(candidates.view[at]))
        if not part and flip:
            columns = (1 - columns[1], 1 - columns[0])
        pair = (mine, theirs) if part else (theirs, mine)
        fitted = fit(*pair, rows, columns)
        score = fitted.score if tint_agreement(*pair, fitted.rows, fitted.columns) >= TINT else 0.0
        return ImageMatch(image, score, flip, part, fitted.rows, fitted.columns)

    def candidates(self, asked: Floats) -> Candidates:
        """Pairs of rows of `asked` (n x `SIZE`) and views of the index that are near each other."""
        return _joined([self._near(asked, start) for start in range(0, len(asked), _BLOCK)])

    def _near(self, asked: Floats, start: int) -> Candidates:
        block = asked[start : start + _BLOCK]
        who, entry = self._parts.entries(block)
        place, flip = entry >> 1, (entry & 1).astype(np.bool_)
        cosine = _cosines(block, who, self._codes, place, flip)
        keep = np.flatnonzero(cosine >= COSINE)
        place = place[keep]
        return Candidates(who[keep] + start, place // VIEWS, place % VIEWS, flip[keep], cosine[keep])

    def _larger(self, seen: Floats) -> Candidates:
        """Whole images of the index that are near a part of the one asked for, whose views are `seen`."""
        who, entry = self._wholes.entries(seen)
        image, flip = entry >> 1, (entry & 1).astype(np.bool_)
        cosine = _cosines(seen, who, self._codes, image * VIEWS, flip)
        keep = np.flatnonzero((cosine >= COSINE) & (who > 0))
        return Candidates(np.zeros(len(keep), dtype=np.int64), image[keep], who[keep], flip[keep], cosine[keep])


def _image_codes(thumbs: Thumbs) -> Codes:
    """Fingerprints of all views of each thumbnail, in bytes: (n * `VIEWS`) x `SIZE`."""
    codes = np.empty((len(thumbs) * VIEWS, SIZE), dtype=np.int8)
    for number, thumb in enumerate(thumbs):
        codes[number * VIEWS : (number + 1) * VIEWS] = np.rint(views(thumb) * _SCALE)
    return codes


def _cosines(asked: Floats, who: Numbers, codes: Codes, place: Numbers, flip: npt.NDArray[np.bool_]) -> Floats:
    """Cosines of pairs, a piece at a time, so that memory is bounded."""
    both = np.stack([asked, asked * MIRROR]) / _SCALE
    cosines = np.empty(len(who), dtype=np.float32)
    for start in range(0, len(who), 1 << 17):
        cut = slice(start, start + (1 << 17))
        cosines[cut] = np.einsum("ij,ij->i", both[flip[cut].astype(np.int64), who[cut]], codes[place[cut]])
    return cosines


def _best(candidates: Candidates) -> Iterator[int]:
    """Where the best view of each of the `VERIFIED` best images is, of the candidates for one image."""
    seen: set[int] = set()
    for at in np.lexsort((candidates.view, candidates.image, -candidates.cosine)).tolist():
        if int(candidates.image[at]) not in seen:
            seen.add(int(candidates.image[at]))
            yield at
            if len(seen) == VERIFIED:
                return


def _joined(blocks: list[Candidates]) -> Candidates:
    if len(blocks) == 1:
        return blocks[0]
    return Candidates(*(np.concatenate(columns) for columns in zip(*blocks, strict=True)))

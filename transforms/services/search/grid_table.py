"""Pictures of the bundled world, compared by the mean colours of a grid (`grid`): exact, over several views each.

A score is made of the distance d between grids (root mean square over the cells, in the unit of CIELAB's L):
`1 / (1 + (d / 14.3) ** 4)`. Measured on scenes of the bundled world (crops padded by a tenth on each side): of 600
crops around the right flag 98% score above 0.8; of 1,324 crops of the background, of decoys, of boxes with an IoU of
a third, and of whole scenes of small flags, 97% score below 0.6 (of the decoys 90%).
"""

import hashlib
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gog.schemas import canonical_json
from gog.transforms.services.search import grid
from gog.transforms.services.search.gallery_files import THUMBNAIL
from gog.transforms.services.search.ranking import best

GRID_SAYS: Final = (
    "pictures are compared by mean colours (grid), made for the bundled world's flags: of photographs, another "
    "photograph of the same thing is seldom found"
)
"""Wherever it is chosen for anything else."""
HALF_SCORE: Final = 14.3
"""Distance whose score is one half."""
MANY: Final = 4000
"""Above so many pictures, each is kept as one view instead of 25, so that 100,000 take 66 MB."""
_WHOLE: Final = ((0.0, 0.0),)
_SETTINGS: Final = [grid.PICTURE_TRIMS, grid.QUERY_TRIMS, grid.CHROMA, HALF_SCORE, MANY, THUMBNAIL]
EMBEDDER: Final = f"{grid.NAME}-{hashlib.sha256(canonical_json(_SETTINGS).encode()).hexdigest()[:8]}"
"""Names everything that changes the hits for equal pictures."""


class GridTable:
    """The embeddings of an index: pictures times `views` rows."""

    def __init__(self, table: grid.Floats, views: int) -> None:
        """`table` as `table_of` makes it. Raises `ValueError`."""
        if table.ndim != 2 or table.shape[1] != grid.DIMENSIONS + 2:
            raise ValueError(f"{table.shape} embeddings")
        self._table, self._views = table, views

    def nearest(self, image: Image.Image, top_k: int) -> list[tuple[int, float]]:
        """Numbers and scores of the pictures most like an RGB image, best first."""
        query = _with_norms(grid.views(image, grid.QUERY_TRIMS))
        query = np.concatenate([-2 * query[:, :-2], query[:, -1:], query[:, -2:-1]], axis=1)
        square = (self._table @ query.T).min(axis=1).reshape(-1, self._views).min(axis=1)
        return best(score_of(np.sqrt(np.maximum(square, 0))), top_k)


def picture_views(image: Image.Image, number: int) -> grid.Floats:
    """All views, or the whole picture alone once there are too many pictures; the whole is always first."""
    return grid.views(image, grid.PICTURE_TRIMS if number < MANY else _WHOLE)


def table_of(embeddings: list[grid.Floats]) -> tuple[grid.Floats, int]:
    """The table of all pictures' views, and how many each has in it."""
    count = len(embeddings)
    views = len(grid.PICTURE_TRIMS) ** 2 if 0 < count <= MANY else 1
    if not count:
        return np.zeros((0, grid.DIMENSIONS + 2), np.float32), views
    return np.concatenate([_with_norms(e[:views]) for e in embeddings]), views


def _with_norms(embeddings: grid.Floats) -> grid.Floats:
    """Columns e, |e|^2 and 1, so that one product with (-2 q, 1, |q|^2) gives squared distances."""
    norms = (embeddings * embeddings).sum(1, keepdims=True)
    return np.concatenate([embeddings, norms, np.ones_like(norms)], axis=1)


def score_of(distance: NDArray[np.float32]) -> NDArray[np.float64]:
    """Similarities, 0 to 1, of distances; four decimals, so that they do not depend on the order of sums."""
    return np.round(1 / (1 + (distance.astype(np.float64) / HALF_SCORE) ** 4), 4)

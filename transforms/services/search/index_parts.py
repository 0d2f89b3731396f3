"""What a changed index is made of: indexes, and what of each stays."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

_PART: Final = 1 << 20


class Staying(NamedTuple):
    """An index, and for each of its entries (pictures, or passages) whether it stays."""

    folder: Path
    stays: NDArray[np.bool_]

    def load(self, name: str) -> NDArray[Any]:
        """An array of its files, mapped."""
        array: NDArray[Any] = np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        return array


def copy_spans(
    path: Path, starts: NDArray[np.int64], lengths: NDArray[np.int64], write: Callable[[bytes], object]
) -> None:
    """Copy spans of a file, in its order. Raises `OSError`, and `ValueError` where it ends before."""
    if not len(starts):
        return
    ends = starts + lengths
    breaks = np.flatnonzero(starts[1:] != ends[:-1]) + 1
    with path.open("rb") as file:
        for start, end in zip(starts[np.append(0, breaks)], ends[np.append(breaks, len(ends)) - 1], strict=True):
            file.seek(int(start))
            left = int(end - start)
            while left:
                part = file.read(min(left, _PART))
                if not part:
                    raise ValueError(f"{path.name} is cut off")
                write(part)
                left -= len(part)


def merged_origin(parts: list[Staying]) -> NDArray[np.int64]:
    """Of each entry of the changed index the number that it had in the first part, or -1."""
    first, *others = parts
    return np.concatenate([np.flatnonzero(first.stays), *(np.full(int(part.stays.sum()), -1) for part in others)])

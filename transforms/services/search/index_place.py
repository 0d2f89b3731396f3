"""Where the index of an address is: in a folder, on an object store, or in the bundled world."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gog.transforms.nearby import close_to
from gog.transforms.object_path import AddressError, ObjectPath
from gog.transforms.place import place
from gog.transforms.services.provider import BUNDLED, Opening, ProviderError
from gog.transforms.services.search.index_bucket import read_manifest
from gog.transforms.services.search.index_cache import cached
from gog.transforms.services.search.index_folder import IndexFolderError, read_head


@dataclass(frozen=True, slots=True)
class Bundled:
    """Where the bundled world's indexes are: from `corpus` or `gallery` to the folder, made where it is not there."""

    folder: Callable[[str], Path]


def head_of(opening: Opening, kind: str) -> dict[str, Any]:
    """What the index at an address says of itself; nothing of `atlas`, and of a folder's that is damaged: that is told
    when it is opened. Raises `ProviderError` where there is none, or its object store does not let us see it.
    """
    if opening.rest == BUNDLED:
        return {}
    at = _place(opening)
    if isinstance(at, ObjectPath):
        return read_manifest(at, kind).head
    if not (at / kind).is_dir():
        raise ProviderError(
            f"{opening.address}: there is no index in {opening.rest!r}; "
            f"`gog index build --out {opening.rest or 'index'}` makes one{_others(opening.rest, kind)}"
        )
    try:
        return read_head(at / kind, kind)
    except IndexFolderError:
        return {}


def index_of(opening: Opening, kind: str) -> Path:
    """The folder of the index at an address; one of an object store is on this machine's disk by then.

    Raises `ProviderError`.
    """
    bundled = opening.find(Bundled)
    if bundled and opening.rest == BUNDLED:
        return bundled.folder(kind)
    at = _place(opening)
    return cached(at, kind) if isinstance(at, ObjectPath) else at / kind


def _place(opening: Opening) -> Path:
    try:
        return place(opening.rest)
    except AddressError as error:
        raise ProviderError(f"{opening.address}: {error}") from None


def _others(folder: str, kind: str) -> str:
    """The indexes beside the one that is not there."""
    found = sorted(str(index.parent) for index in Path(folder).parent.glob(f"*/{kind}") if index.is_dir())
    told = close_to(folder, found)
    return f"; {told}" if told else ""

"""A sealed world: all that rollouts of a training may ask, in one folder that nobody writes any more (`sealing`).

What was asked before is answered as it was then. Anything else is asked of the indexes in the folder; where there is
none it is a miss, which says nothing of whoever asked. Nobody outside of the process is asked, and nothing is locked
or written: any number of processes read the folder, on any number of machines.

Files: `world.json` (what it is, and the size of every file but pictures); `answers.jsonl` (an entry a line),
`keys.bin` (their keys, sorted) and `rows.npy` (offset and length of each); `images/` (pictures that answers name);
`index/corpus` and `index/gallery`; `encoders/` (what these were made with).
"""

import json
from bisect import bisect_left
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from gog.schemas import FailureClass, Hit
from gog.schemas.errors import UsageError
from gog.transforms.image_store import ImageStore
from gog.transforms.images import sha256_hex
from gog.transforms.services.mcp.pinned import PinnedTool
from gog.transforms.services.mcp.server import Keep
from gog.transforms.services.protocols import ImageSearch, Page, ServiceError, TextSearch, ToolAnswer
from gog.transforms.services.provider import Opening, ProviderError
from gog.transforms.services.search.index_folder import HeldFile
from gog.transforms.services.store.forms import HITS, PAGE, TOOL_ANSWER
from gog.transforms.services.store.jsonl import LineError, read_entry
from gog.transforms.services.store.keys import page_request, request_key, search_request, tool_request

A = TypeVar("A")

FORMAT: Final = "gog-world"
VERSION: Final = 1
HEAD: Final = "world.json"
ENTRIES, KEYS, ROWS, IMAGES, INDEX = "answers.jsonl", "keys.bin", "rows.npy", "images", "index"
KEY: Final = 32
"""Bytes of a key."""
SUFFIXES: Final = ("jpg", "png", "webp")


class WorldError(UsageError, ProviderError):
    """The folder is no sealed world that can be used; the message names it and says what to do."""


class SealedWorld:
    """The folder, opened."""

    def __init__(self, folder: Path) -> None:
        """Raises `WorldError`, also where a file is missing or cut off."""
        self.folder, head = folder, _read_head(folder)
        self.id: str = head["id"]
        """`world:NAME@VERSION`; the version is a hash of all answers and indexes."""
        self.services: Mapping[str, str] = head["services"]
        """Ids of the services that answered, by what they are: `text_search`, `image_search`, `page`."""
        for name, size in head["files"].items():
            path = folder / name
            if not path.is_file() or path.stat().st_size != size:
                raise WorldError(f"{folder}: {name} is missing or cut off: copy the whole folder anew")
        self._keys, self._entries = HeldFile(folder / KEYS), HeldFile(folder / ENTRIES)
        self._rows = np.load(folder / ROWS, mmap_mode="r", allow_pickle=False)

    def __len__(self) -> int:
        """Answers."""
        return len(self._rows)

    def find(self, request: str, form: TypeAdapter[A]) -> A | None:
        """What was answered to a canonical request; None where it was not asked. Raises what failed then as it did,
        and `ServiceError` (setup) where the world is damaged.
        """
        key = bytes.fromhex(request_key(request))
        place = bisect_left(range(len(self)), key, key=lambda at: self._keys.read(KEY * at, KEY))
        if place == len(self) or self._keys.read(KEY * place, KEY) != key:
            return None
        start, length = (int(value) for value in self._rows[place])
        try:
            kept = read_entry(self._entries.read(start, length)).entry.kept
            if kept.failure is None:
                return form.validate_json(kept.answer or "")
        except (LineError, ValidationError) as error:
            said = f"{self.folder} is damaged: copy it anew ({str(error).splitlines()[0][:100]})"
            raise ServiceError(FailureClass.SETUP, said) from None
        raise ServiceError(kept.failure, kept.detail)

    def missed(self, kind: str, what: str) -> ServiceError:
        """That there is no answer to something."""
        return ServiceError(FailureClass.STORE_MISS, f"{kind}: {self.id} has no answer to {what[:60]!r}")

    def show(self, sha256: str, images: ImageStore) -> None:
        """Put a picture that an answer names into a store, if it is there."""
        if not images.has(sha256):
            for suffix in SUFFIXES:
                path = self.folder / IMAGES / sha256[:2] / f"{sha256}.{suffix}"
                if path.is_file() and sha256_hex(data := path.read_bytes()) == sha256:
                    images.put(data, suffix)


class SealedSearch:
    """A search of texts or pictures; fills `TextSearch` and `ImageSearch`."""

    def __init__(
        self, world: SealedWorld, kind: str, index: TextSearch | ImageSearch | None, images: ImageStore, asked: str = ""
    ) -> None:
        """`index` answers what was not asked before; pictures of results go to `images`. `asked` is the id of who was
        asked then: by default whoever answered calls of that kind.
        """
        self._world, self._kind, self._index, self._images = world, kind, index, images
        self._asked = asked or world.services[kind]

    @property
    def id(self) -> str:
        """The world's."""
        return self._world.id

    @property
    def words(self) -> "SealedSearch | None":
        """Of a search with pictures: what it said to words, or its index says."""
        if self._kind != "image_search":
            return None
        index: TextSearch | None = getattr(self._index, "words", None)
        return SealedSearch(self._world, "text_search", index, self._images, self._asked)

    async def search(self, query: str, top_k: int) -> tuple[Hit, ...]:
        """Hits, best first. Raises `ServiceError`: `store_miss` where the world cannot know, and as the index does."""
        hits = self._world.find(search_request(self._kind, self._asked, query, top_k), HITS)
        if hits is None and self._index is not None:
            return await self._index.search(query, top_k)
        if hits is None:
            raise self._world.missed(self._kind, query)
        for hit in hits:
            if hit.thumbnail_sha256:
                self._world.show(hit.thumbnail_sha256, self._images)
        return hits


class SealedReader:
    """Pages that were read; fills `PageReader`."""

    def __init__(self, world: SealedWorld) -> None:
        """Of a world that has some."""
        self._world = world

    @property
    def id(self) -> str:
        """The world's."""
        return self._world.id

    async def read(self, url: str) -> Page:
        """The page as it was read. Raises `ServiceError`."""
        page = self._world.find(page_request(self._world.services["page"], url), PAGE)
        if page is None:
            raise self._world.missed("page", url)
        return page


class SealedTools:
    """What tools of MCP servers said; fills `ToolServer`."""

    def __init__(self, world: SealedWorld, images: ImageStore) -> None:
        """Pictures of answers go to `images`."""
        self._world, self._images = world, images

    async def call(self, pinned: PinnedTool, arguments: Mapping[str, Any], keep: Keep) -> ToolAnswer:
        """What the tool said. Raises `ServiceError`."""
        answer = self._world.find(tool_request(pinned.id, arguments), TOOL_ANSWER)
        if answer is None:
            raise self._world.missed(pinned.called, json.dumps(dict(arguments), ensure_ascii=False))
        for part in answer.parts:
            if part.image:
                self._world.show(part.image, self._images)
        return answer


def has_world(opening: Opening, kind: str) -> bool:
    """Whether there is a sealed world that answers such calls behind an address. Raises `WorldError`."""
    if kind not in _read_head(Path(opening.rest))["services"]:
        raise WorldError(f"{opening.address}: that world has no answers to {kind}: seal one of a config that names one")
    return True


def _read_head(folder: Path) -> dict[str, Any]:
    try:
        head = json.loads((folder / HEAD).read_text("utf-8"))
    except FileNotFoundError:
        raise WorldError(f"{folder} is no sealed world: `gog store export {folder} --for-training` makes one") from None
    except (OSError, ValueError, RecursionError) as error:
        raise WorldError(f"{folder / HEAD} cannot be read ({type(error).__name__}): copy the folder anew") from None
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise WorldError(f"{folder} is no sealed world")
    if head.get("version") != VERSION:
        raise WorldError(f"{folder} was sealed by another version of this engine ({head.get('version')!r}): seal anew")
    return head

"""Images at addresses in the web: fetched once, kept in files under the hash of the address.

What is kept is the file as it came, whether it is an image or not: that is for who decodes it to say.
"""

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from gog.schemas import FailureClass
from gog.transforms.atomic import write_file
from gog.transforms.images import ImageError, ImageLimits
from gog.transforms.services.gateway.retry import Retry, with_retries
from gog.transforms.services.loop import joined, run_on_loop, shared
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.public_web import NOBODY, Contact, fetch_public

Fetch = Callable[[str], Awaitable[bytes]]
"""The bytes at an address; `ServiceError` where it does not give them."""

TYPES: Final = ("image/", "application/octet-stream", "binary/octet-stream")
"""Media types that are taken: object stores serve pictures as plain bytes."""

_GONE: Final = frozenset({FailureClass.NOT_FOUND, FailureClass.BAD_REQUEST, FailureClass.AUTH, FailureClass.REFUSED})
"""Failures that the next run would meet again."""


def public_fetch(limits: ImageLimits, timeout_s: float, contact: Contact = NOBODY) -> Fetch:
    """A fetcher of public addresses: no more bytes than an image may have."""

    async def fetch(url: str) -> bytes:
        fetched = await fetch_public(
            url, limit_bytes=limits.max_bytes, timeout_s=timeout_s, types=TYPES, contact=contact
        )
        return fetched.data

    return fetch


@dataclass(frozen=True)
class FetchedImages:
    """Reads an image by its address; a `ReadImage` for code that waits, `read` for code on the loop.

    Small and picklable: workers open their own connections.
    """

    folder: Path
    """Where files are kept; made when the first is."""
    limits: ImageLimits = field(default_factory=ImageLimits)
    retry: Retry = field(default_factory=Retry)
    replay: bool = False
    """Only what is kept; nothing is asked for."""
    make_fetch: Callable[[ImageLimits, float], Fetch] = public_fetch

    def __call__(self, url: str) -> bytes:
        """The file. Raises `ImageError`; not for the process's loop, which it waits for."""
        return run_on_loop(self.read(url))

    async def read(self, url: str) -> bytes:
        """The file, fetched unless it is kept.

        Raises `ImageError`: `ingest.image_unavailable` where another run may have it, `ingest.image_gone` where not,
        `store.miss` in replay.
        """
        place = self._place(url)
        reading: dict[Path, asyncio.Task[bytes]] = shared(("fetched images", id(asyncio.get_running_loop())), dict)
        return await joined(reading, place, partial(self._read, place, url))

    async def _read(self, place: Path, url: str) -> bytes:
        with suppress(FileNotFoundError, NotADirectoryError):
            return await asyncio.to_thread(place.read_bytes)
        if self.replay:
            raise ImageError("store.miss", f"{url[:300]} was never fetched, and the store replays")
        attempt = partial(self.make_fetch(self.limits, self.retry.timeout_s), url)
        try:
            data = await with_retries(attempt, self.retry, random.Random(url))
        except ServiceError as error:
            reason = "ingest.image_gone" if error.failure in _GONE else "ingest.image_unavailable"
            raise ImageError(reason, f"{url[:300]}: {error}"[:600]) from error
        # Another process that writes it writes the same.
        await asyncio.to_thread(write_file, place, data, sync=False)
        return data

    def _place(self, url: str) -> Path:
        digest = hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()
        return self.folder / digest[:2] / digest

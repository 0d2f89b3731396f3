"""robots.txt, as RFC 9309 has it: fetched once a host, kept for a day at most, asked before each page.

A site whose robots.txt is unavailable (4xx, too many redirects) may be read; one whose robots.txt cannot be reached
(5xx, no connection, no time) may not, for now (sections 2.3.1.3 and 2.3.1.4).
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from yarl import URL

from gog.schemas import FailureClass
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.public_addresses import is_public
from gog.transforms.services.public_web import NOBODY, USER_AGENT, Allow, Contact, fetch_public, text_of

if TYPE_CHECKING:
    from protego import Protego

LIMIT_BYTES: Final = 500 << 10
"""Read of a robots.txt (section 2.5)."""
KEPT_S: Final = 24 * 3600.0
"""Longest time that rules are kept (section 2.4)."""
_TIMEOUT_S: Final = 10.0
_UNAVAILABLE: Final = frozenset({FailureClass.NOT_FOUND, FailureClass.AUTH, FailureClass.BAD_REQUEST})


class Robots:
    """What sites allow us; for one event loop."""

    def __init__(
        self,
        *,
        allow: Allow = is_public,
        hosts: int = 2000,
        clock: Callable[[], float] = time.monotonic,
        contact: Contact = NOBODY,
    ) -> None:
        """Keeps the rules of the `hosts` sites asked about last; `allow` and `contact` are the fetcher's.

        `clock` is in seconds.
        """
        self._allow, self._hosts, self._clock, self._contact = allow, hosts, clock, contact
        self._known: OrderedDict[URL, tuple[float, Protego | None]] = OrderedDict()
        self._asking: WeakValueDictionary[URL, asyncio.Lock] = WeakValueDictionary()

    async def check(self, url: URL) -> None:
        """Raise `ServiceError` where the site does not want the page read (`refused`), or cannot be asked."""
        site = url.origin()
        rules = await self._rules(site)
        if rules is not None and not rules.can_fetch(str(url), USER_AGENT):
            raise ServiceError(FailureClass.REFUSED, f"robots.txt of {site.host} does not allow it")

    async def _rules(self, site: URL) -> "Protego | None":
        # One request a site: pages of the same site often come together.
        async with self._asking.setdefault(site, asyncio.Lock()):
            known = self._known.get(site)
            if known is None or self._clock() - known[0] >= KEPT_S:
                known = (self._clock(), await self._fetch(site))
                self._known[site] = known
            self._known.move_to_end(site)
            while len(self._known) > self._hosts:
                self._known.popitem(last=False)
            return known[1]

    async def _fetch(self, site: URL) -> "Protego | None":
        """The rules; None where all may be read."""
        from protego import Protego

        try:
            fetched = await fetch_public(
                str(site / "robots.txt"),
                limit_bytes=LIMIT_BYTES,
                timeout_s=_TIMEOUT_S,
                types=("text/", "application/octet-stream"),
                allow=self._allow,
                cut=True,
                contact=self._contact,
            )
        except ServiceError as error:
            if error.failure in _UNAVAILABLE:
                return None
            detail = f"robots.txt of {site.host} cannot be read, so its pages are not: {error.detail}"
            raise ServiceError(error.failure, detail, error.retry_after) from None
        return Protego.parse(text_of(fetched.data, "utf-8"))

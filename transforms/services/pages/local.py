"""`local:` pages fetched by this process and made text of by trafilatura (extra `web`), their boilerplate left out."""

import asyncio
from importlib.metadata import version
from typing import Final
from weakref import WeakValueDictionary

from yarl import URL

from gog.schemas import FailureClass
from gog.transforms.services.pages.html import html_text
from gog.transforms.services.pages.pdf import MAX_TEXT, pdf_text, pdf_version
from gog.transforms.services.pages.reading import ReadingSettings
from gog.transforms.services.pages.robots import Robots
from gog.transforms.services.protocols import Page, ServiceError
from gog.transforms.services.provider import Provider
from gog.transforms.services.public_addresses import is_public
from gog.transforms.services.public_web import (
    NOBODY,
    Allow,
    Contact,
    Fetched,
    check_url,
    fetch_public,
    text_of,
)

LIMIT_BYTES: Final = 8 << 20
HTML_BYTES: Final = 2 << 20
"""Of HTML that are read; the limit for others is `LIMIT_BYTES`."""
TIMEOUT_S: Final = 30.0
A_HOST: Final = 4
"""Pages of one site in flight."""
PARSING: Final = 2
"""Pages that are made text of at once."""
_BUSY: Final = frozenset({FailureClass.RATE_LIMITED, FailureClass.OVERLOADED})
"""One site's refusals: told as its failure, or the gate would slow the reading of all others."""
_PDF: Final = "application/pdf"
_PDF_MARK: Final = b"%PDF-"
"""Within the first 1,024 bytes, as readers of PDF take it."""
_HTML: Final = ("text/html", "application/xhtml+xml")
_BYTES: Final = ("application/octet-stream", "binary/octet-stream", "application/x-pdf", "application/force-download")
"""What servers call a file whose type they do not know; it is taken where it is a PDF."""
_TYPES: Final = (*_HTML, "text/plain", "text/markdown", _PDF, *_BYTES)


class LocalReader:
    """Reads pages itself; fills `PageReader`. For one event loop."""

    def __init__(
        self,
        *,
        robots: bool = True,
        allow: Allow = is_public,
        timeout_s: float = TIMEOUT_S,
        contact: Contact = NOBODY,
    ) -> None:
        """`robots` off reads what robots.txt forbids; `allow` says which addresses may be connected to;
        `contact` is told to the sites.

        Raises `ImportError` without trafilatura or protego.
        """
        import protego  # noqa: F401  # now, rather than at the first page
        import trafilatura  # noqa: F401

        self._allow, self._timeout_s, self._contact = allow, timeout_s, contact
        self._robots = Robots(allow=allow, contact=contact) if robots else None
        self._parsing = asyncio.Semaphore(PARSING)
        self._hosts: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        """Of the sites that somebody reads now."""
        pdf = pdf_version()
        self._id = f"local:trafilatura-{version('trafilatura')}+lines" + (f"+pdftext-{pdf}" if pdf else "")
        self._id += "" if robots else "+norobots"

    @property
    def id(self) -> str:
        """`local:` with the versions of what makes the text."""
        return self._id

    async def read(self, url: str) -> Page:
        """The text of a page. Raises `ServiceError`; `refused` where robots.txt does not allow it."""
        address = check_url(url, self._allow)
        try:
            async with self._turn(address):
                fetched = await fetch_public(
                    str(address),
                    limit_bytes=LIMIT_BYTES,
                    timeout_s=self._timeout_s,
                    types=_TYPES,
                    allow=self._allow,
                    cut=True,
                    visit=self._robots.check if self._robots else None,
                    contact=self._contact,
                )
        except ServiceError as error:
            if error.failure in _BUSY:
                raise ServiceError(FailureClass.SERVER, error.detail) from None
            raise
        text, cut = await self._text(fetched)
        return Page(fetched.url, text[:MAX_TEXT], cut or ("cut in length" if len(text) > MAX_TEXT else ""))

    async def _text(self, fetched: Fetched) -> tuple[str, str]:
        """The text, and why it is not all of it."""
        async with self._parsing:
            unnamed = not fetched.media_type or fetched.media_type in _BYTES
            if fetched.media_type == _PDF or (unnamed and _PDF_MARK in fetched.data[:1024]):
                if fetched.cut:
                    raise ServiceError(FailureClass.BAD_REQUEST, f"the PDF was {fetched.cut}")
                return await pdf_text(fetched.data)
            if fetched.media_type in _BYTES:
                raise ServiceError(
                    FailureClass.BAD_REQUEST, f"the media type {fetched.media_type!r} is not taken, but for PDF"
                )
            if fetched.media_type and fetched.media_type not in _HTML:
                return text_of(fetched.data, fetched.charset), fetched.cut
            cut = fetched.cut if len(fetched.data) <= HTML_BYTES else f"cut at {HTML_BYTES:,} bytes"
            text = text_of(fetched.data[:HTML_BYTES], fetched.charset)
            text, short = await html_text(text)
            return text, short or cut

    def _turn(self, url: URL) -> asyncio.Semaphore:
        """Waits until few enough pages of the site are in flight."""
        return self._hosts.setdefault(url.host or "", asyncio.Semaphore(A_HOST))


READER = Provider(
    name="local",
    example="local:",
    packages=("trafilatura", "protego"),
    extra="web",
    open=lambda opening: LocalReader(robots=opening.of(ReadingSettings).robots, contact=opening.of(Contact)),
)

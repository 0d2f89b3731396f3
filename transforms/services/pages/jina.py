"""`jina:` pages read by Jina's Reader, which renders them in a browser of its own.

Wire format: Jina's Reader API, https://jina.ai/reader/ (POST with `url` as JSON; `Accept: application/json` gives
`code`, `status` and `data` with `title`, `url`, `content`). It works without a key, at few pages a minute.
"""

import re
from typing import Any, Final

from gog.schemas import FailureClass
from gog.transforms.services.http import call_json
from gog.transforms.services.pages.pdf import MAX_TEXT
from gog.transforms.services.protocols import Page, ServiceError
from gog.transforms.services.provider import Provider
from gog.transforms.services.public_web import MAX_URL, check_url

URL: Final = "https://r.jina.ai/"
_LIMIT_BYTES: Final = 8 << 20
_LINK: Final = re.compile(r"!?\[([^\[\]]{0,500})\]\([^()\s]{0,2000}\)")
"""A link of Markdown: its text is kept, its address is not."""


class JinaReader:
    """Reads pages through Jina; fills `PageReader`."""

    def __init__(self, key: str = "", *, url: str = URL) -> None:
        """`key` may be empty."""
        self._key, self._url = key, url

    @property
    def id(self) -> str:
        """`jina:markdown`, the form that is asked for."""
        return "jina:markdown"

    async def read(self, url: str) -> Page:
        """The text of a page. Addresses that are not public are not sent. Raises `ServiceError`."""
        address = str(check_url(url))
        headers = {"Accept": "application/json", "X-Retain-Images": "none"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        reply = await call_json(
            "POST",
            self._url,
            headers=headers,
            payload={"url": address},
            secrets=(self._key,),
            limit_bytes=_LIMIT_BYTES,
        )
        return _page(reply, address)


def _page(reply: Any, address: str) -> Page:
    data = reply.get("data") if isinstance(reply, dict) else None
    content = data.get("content") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(content, str):
        raise ServiceError(FailureClass.MALFORMED, "the reply has no data with content")
    found = data.get("url")
    url = found if isinstance(found, str) and found.startswith(("http://", "https://")) else address
    text = _LINK.sub(r"\1", _unicode(content[: 4 * MAX_TEXT]))
    return Page(_unicode(url[:MAX_URL]), text[:MAX_TEXT], "cut in length" if len(text) > MAX_TEXT else "")


def _unicode(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


READER = Provider(
    name="jina", example="jina:", key="JINA_API_KEY", key_needed=False, open=lambda opening: JinaReader(opening.key)
)

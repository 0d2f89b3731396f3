"""Pictures lent to the web, for image searches that take nothing but an address. Off unless it is configured.

A crop on a public server can be seen by whoever has its address. So its name is the picture's hash, which nobody
guesses who does not have the picture, and it is deleted as soon as the search has answered.
"""

import asyncio
import logging
import os
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gog.transforms.images import image_suffix, media_type
from gog.transforms.services.http import call, key_in
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.provider import Opening, ProviderError

_DELETE_S: Final = 15.0
_FILLED_IN: Final = re.compile(r"(?<=[?&])(?:[\w.-]+=)?\{key\}")
"""A place of a query, or the whole of it, that the key is put into later."""
_KEYED_HEADERS: Final = re.compile(r"auth|cookie|key|token|secret|signature|password|credential", re.IGNORECASE)
_log = logging.getLogger(__name__)


class NoUploaderError(ProviderError):
    """A search takes pictures by address, and nothing says where they may be put."""


class Uploader(Protocol):
    """Puts pictures where a search engine can see them, for a while."""

    def lent(self, data: bytes, sha256: str) -> AbstractAsyncContextManager[str]:
        """The address of a picture while the block lasts. Raises `ServiceError`."""


class UploadSettings(BaseModel):
    """Where pictures are put with HTTP PUT, and where they can be seen then.

    In both addresses `{name}` becomes the picture's name, and in `put` `{key}` what the environment variable `key_env`
    holds (a shared access signature, for example); where `put` has no `{key}`, it goes along as a bearer token.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    put: str
    """`https://ACCOUNT.blob.core.windows.net/crops/{name}?{key}`, for example."""
    url: str
    """Where the picture is seen then: `https://ACCOUNT.blob.core.windows.net/crops/{name}`."""
    key_env: str = Field(default="", pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$")
    """Environment variable that holds the key; empty for none."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Sent along, such as `x-ms-blob-type: BlockBlob`. No keys: these are kept with the run."""
    keep: bool = False
    """Leave the pictures where they are; otherwise each is deleted after its search (HTTP DELETE)."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        for field in ("put", "url"):
            address = getattr(self, field)
            parts = urlsplit(address)
            if parts.scheme not in ("http", "https") or not parts.hostname or "{name}" not in address:
                raise ValueError(f"{field} must be an http or https address with {{name}} in it")
            if found := key_in(_FILLED_IN.sub("", address)):
                raise ValueError(
                    f"{field} must not hold a key, or what may be one ({found}): name a variable in key_env, and put "
                    "{key} there"
                )
        if keyed := next(filter(_KEYED_HEADERS.search, self.headers), ""):
            raise ValueError(f"headers must not hold a key ({keyed}): name a variable in key_env")
        if "{key}" in self.put and not self.key_env:
            raise ValueError("put has {key} in it: name the environment variable that holds it in key_env")
        return self


class HttpUploader:
    """Lends pictures by HTTP PUT and DELETE."""

    def __init__(self, settings: UploadSettings, key: str = "") -> None:
        """`key` is what the variable named in the settings holds."""
        self._settings, self._key = settings, key

    @asynccontextmanager
    async def lent(self, data: bytes, sha256: str) -> AsyncIterator[str]:
        """The address of a picture while the block lasts. Raises `ServiceError` when it cannot be put there."""
        name = f"{sha256}.{image_suffix(data)}"
        put = self._settings.put.replace("{name}", name).replace("{key}", self._key)
        headers = dict(self._settings.headers)
        if self._key and "{key}" not in self._settings.put:
            headers["Authorization"] = f"Bearer {self._key}"
        secrets = (self._key, self._key.lstrip("?"))
        try:
            await call("PUT", put, headers={**headers, "Content-Type": media_type(data)}, data=data, secrets=secrets)
        except ServiceError as error:
            raise ServiceError(error.failure, f"the uploader: {error.detail}", error.retry_after) from None
        except asyncio.CancelledError:
            # The picture may be there already: a bucket that stalls answers late, or never.
            if not self._settings.keep:
                await self._delete(put, headers, secrets, name)
            raise
        try:
            yield self._settings.url.replace("{name}", name)
        finally:
            if not self._settings.keep:
                await self._delete(put, headers, secrets, name)

    async def _delete(self, put: str, headers: dict[str, str], secrets: tuple[str, ...], name: str) -> None:
        try:
            async with asyncio.timeout(_DELETE_S):
                await call("DELETE", put, headers=headers, secrets=secrets)
        except (ServiceError, TimeoutError) as error:
            # The search has answered and was paid for; that the picture is still there must be said all the same.
            _log.warning("%s was not deleted after its search: %s", name, str(error) or "no answer in time")


def uploader_for(opening: Opening) -> Uploader:
    """The uploader of an image search. Raises `ProviderError` where none is configured, or its key is not set.

    Where nothing is called none is needed, and what stands in for it leads nowhere.
    """
    settings = opening.find(UploadSettings)
    if settings is None:
        if not opening.calls:
            return HttpUploader(UploadSettings(put="http://localhost/{name}", url="http://localhost/{name}"))
        raise NoUploaderError(
            f"image_search {opening.address!r} takes pictures by address only, and sends none unless you say where to "
            "put them: set uploader.put and uploader.url, or use gallery:FOLDER"
        )
    key = os.environ.get(settings.key_env, "") if settings.key_env else ""
    if settings.key_env and not key and opening.calls:
        raise ProviderError(f"uploader: set the environment variable {settings.key_env}, which key_env names")
    return HttpUploader(settings, key)

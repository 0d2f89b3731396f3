"""Where a lake may live."""

import re
from typing import Final

from gog.schemas.errors import UsageError

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


class AddressError(UsageError):
    """An address where no lake can be; the message says what to do."""


def check_folder(lake: str) -> None:
    """Raise `AddressError` on an address (`gs://bucket/lake`, `gs:/bucket/lake`), which would be made a folder."""
    if "://" in lake or _SCHEME.match(lake):
        raise AddressError(
            f"{lake} is no folder: mount the bucket and name the folder; store.path alone takes an address"
        )

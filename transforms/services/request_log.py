"""What our servers write of requests: of those that are no HTTP, which anybody can send, a line and no traceback."""

import logging
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError


def _short(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError | web.RequestPayloadError):
        record.msg, record.args = "a request that is no HTTP: %s", (" ".join(str(error).split())[:200],)
        record.exc_info, record.levelno, record.levelname = None, logging.INFO, "INFO"
        return REQUESTS.isEnabledFor(logging.INFO)
    return True


REQUESTS: Final = logging.getLogger("gog.requests")
"""The `logger` of an `AppRunner`."""
REQUESTS.addFilter(_short)

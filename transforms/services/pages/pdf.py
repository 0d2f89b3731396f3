"""The text of a PDF, made by pypdf (extra `pdf`) in a process of its own, with little memory, time and environment.

A PDF is a program of a kind: one made to harm can use up memory or never end, and then only the process does.
"""

import asyncio
import importlib.util
import os
import sys
from contextlib import suppress
from typing import Final

from gog.schemas import FailureClass
from gog.transforms.extras import install
from gog.transforms.services.protocols import ServiceError

MAX_PAGES: Final = 50
MAX_TEXT: Final = 200_000
"""Characters."""
MEMORY: Final = 1 << 30
SECONDS: Final = 20


def pdf_version() -> str:
    """Version of pypdf, empty where it is not installed."""
    from importlib.metadata import version

    return version("pypdf") if importlib.util.find_spec("pypdf") else ""


async def pdf_text(data: bytes) -> str:
    """The text of the first pages of a PDF. Raises `ServiceError` (`bad_request`) when it has no readable text."""
    if not pdf_version():
        raise _bad(f"it is a PDF, and pypdf is not installed: {install('pdf')}")
    # No keys of the environment for a process that reads what strangers wrote.
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG", "SYSTEMROOT") if name in os.environ}
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", __name__),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=kept,
    )
    try:
        async with asyncio.timeout(SECONDS):
            text, _ = await child.communicate(data)
    except TimeoutError:
        raise _bad(f"the PDF was not read within {SECONDS} s") from None
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    if child.returncode != 0:
        raise _bad("the PDF cannot be read")
    return text.decode("utf-8", "replace")[:MAX_TEXT]


def _bad(detail: str) -> ServiceError:
    return ServiceError(FailureClass.BAD_REQUEST, detail)


def _child() -> None:
    """PDF in, text out."""
    import io
    import resource

    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    from pypdf import PdfReader

    left = MAX_TEXT
    for page, _ in zip(PdfReader(io.BytesIO(sys.stdin.buffer.read())).pages, range(MAX_PAGES), strict=False):
        text = page.extract_text()[:left]
        sys.stdout.buffer.write(text.encode("utf-8", "replace") + b"\n\n")
        left -= len(text)
        if left <= 0:
            break


if __name__ == "__main__":
    _child()

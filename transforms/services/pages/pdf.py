"""The text of a PDF by its layout, made by pdftext (extra `pdf`) in a process of its own, with little memory, time and
environment.

A PDF is a program of a kind: one made to harm can use up memory or never end.
"""

import importlib.util
import re
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

from gog.schemas import FailureClass
from gog.transforms.extras import install
from gog.transforms.services.limited_child import LimitedChild, RefusedError, serve
from gog.transforms.services.protocols import ServiceError

MAX_PAGES: Final = 50
MAX_TEXT: Final = 200_000
"""Characters."""
MEMORY: Final = 1 << 30
SECONDS: Final = 20
AT_ONCE: Final = 5
"""Pages that are read between looks at the clock."""
RUNNING: Final = 3
"""Pages that begin or end alike, but for numbers, from which on that is no text of theirs."""
_LEADERS: Final = re.compile(r"(?:\.\s?){4,}|(?:\u2026\s?){2,}")
"""Between an entry of the contents and its page."""
_NUMBER: Final = re.compile(r"[\s\W]*(?:\d+|[ivxlc]+)[\s\W]*")
_HYPHEN: Final = re.compile(r"(?<=[^\W\d_])[-\u00ad\u2010]$|\u0002$")
_CHILD: Final = LimitedChild(__name__, "the PDF", seconds=SECONDS, memory=MEMORY)
_ENDS: Final = re.compile(r"[.!?:;\u3002\uff01\uff1f][\"'\u201d\u2019)\]]*$")


def pdf_version() -> str:
    """Version of pdftext, empty where it is not installed."""
    from importlib.metadata import version

    return version("pdftext") if importlib.util.find_spec("pdftext") else ""


async def pdf_text(data: bytes) -> tuple[str, str]:
    """The text of the first pages of a PDF, one line a paragraph, and why it is not all of it.

    Raises `ServiceError` (`bad_request`) when it cannot be read, or has no text.
    """
    if not pdf_version():
        raise _bad(f"it is a PDF, and pdftext is not installed: {install('pdf')}")
    out = await _CHILD.ask(data)
    cut, _, text = out.decode("utf-8", "replace").partition("\n")
    if not text.strip():
        raise _bad("the PDF has no text: it is a scan, or drawn")
    return text[:MAX_TEXT], cut


def _bad(detail: str) -> ServiceError:
    return ServiceError(FailureClass.BAD_REQUEST, detail)


def paragraphs(pages: Sequence[Sequence[Sequence[str]]]) -> list[str]:
    """The paragraphs of pages, each of blocks of lines.

    Words divided at a line's end are whole, and a paragraph that goes on in the next column or page is one. Entries of
    a table of contents are left out, and what stands at the head or foot of pages.
    """
    edges = Counter(edge for page in pages for edge in set(_edges(page)))
    made: list[str] = []
    for page in pages:
        running = {at for edge, at in _edges(page).items() if edges[edge] >= RUNNING}
        for number, block in enumerate(page):
            text = ""
            for place, line in enumerate(block):
                if line.strip() and (number, place) not in running and not _LEADERS.search(line):
                    text = _after(text, " ".join(line.split()))
            if not text or _NUMBER.fullmatch(text):
                continue
            if made and text[:1].islower() and not _ENDS.search(made[-1]):
                made[-1] = _after(made[-1], text)
            else:
                made.append(text)
    return made


def _edges(page: Sequence[Sequence[str]]) -> dict[str, tuple[int, int]]:
    """First and last line of a page of several, without what differs from page to page; and where they are."""
    places = [(number, place) for number, block in enumerate(page) for place in range(len(block))]
    if len(places) < 2:
        return {}
    return {re.sub(r"\d+", "", " ".join(page[at[0]][at[1]].split())): at for at in (places[0], places[-1])}


def _after(text: str, line: str) -> str:
    """A line after others; one hyphen at the end of a line before a small letter divides a word."""
    if line[:1].islower() and _HYPHEN.search(text):
        return f"{text[:-1]}{line}"
    return f"{text} {line}" if text else line


def _read(data: bytes) -> bytes:
    """Why the text of a PDF is cut, in a line, then the text."""
    from pdftext.extraction import dictionary_output
    from pypdfium2 import PdfDocument, PdfiumError

    try:
        count = len(PdfDocument(data))
    except PdfiumError:
        raise RefusedError("cannot be read") from None
    pages: list[list[list[str]]] = []
    left, ends = MAX_TEXT, time.monotonic() + SECONDS / 2
    while len(pages) < min(count, MAX_PAGES) and left > 0 and time.monotonic() < ends:
        chosen = range(len(pages), min(count, MAX_PAGES, len(pages) + AT_ONCE))
        for page in dictionary_output(data, page_range=chosen, disable_links=True):
            blocks = (block["lines"] for block in page["blocks"])
            pages.append([["".join(span["text"] for span in line["spans"]) for line in lines] for lines in blocks])
            left -= sum(len(line) for block in pages[-1] for line in block)
    text = "\n".join(paragraphs(pages))
    cut = f"cut after {len(pages):,} of {count:,} pages" if len(pages) < count else ""
    if len(text) > MAX_TEXT:
        cut = "cut in length"
    return f"{cut}\n{text[:MAX_TEXT]}".encode("utf-8", "replace")


def _child() -> None:
    import pdftext.extraction  # noqa: F401  # now, rather than at the first PDF

    serve(_read)


if __name__ == "__main__":
    _child()

"""The main text of an HTML document, by trafilatura (extra `web`), its lines as a browser would break them.

It is made in a process of its own, with little time, memory and environment.
"""

import re
from typing import TYPE_CHECKING, Final

from gog.transforms.services.limited_child import LimitedChild, serve
from gog.transforms.services.pages.link_density import links_in_one_pass
from gog.transforms.services.pages.paragraph_classes import in_one_pass

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_AS_WRITTEN: Final = frozenset({"pre", "textarea", "listing", "xmp", "script", "style"})
_MARKUP: Final = re.findall(
    r"\w+",
    """abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd mark q s samp small span strike strong sub
    sup time tt u var""",
)
_CONTAINERS: Final = frozenset({"article", "blockquote", "body", "center", "div", "main", "section"})
MAX_WRAPPED: Final = 1000
"""A page with more elements that hold bare text and links is left as it is: trafilatura would read it twice."""
FEW_ELEMENTS: Final = 10_000
CHARACTERS_AN_ELEMENT: Final = 50
"""A document may have few elements, and one more for each so many characters: each costs more than its text does."""
SECONDS: Final = 10
MEMORY: Final = 1 << 30
_TAG: Final = re.compile("<[A-Za-z]")
_SPACE: Final = re.compile(r"[ \t\n\r\f]+")
_CHILD: Final = LimitedChild(__name__, "the page", seconds=SECONDS, memory=MEMORY)


async def html_text(html: str) -> tuple[str, str]:
    """The main text of an HTML document, one line a paragraph (empty where there is none), and why it is not all of it.

    Raises `ServiceError`: `bad_request` on what cannot be read as HTML, `server` where the machine is at fault.
    """
    if not html.strip():
        return "", ""
    taken, cut = _bounded(html)
    deep, _, text = (await _CHILD.ask(taken.encode("utf-8", "replace"))).decode("utf-8", "replace").partition("\n")
    return text, deep or cut


def _bounded(html: str) -> tuple[str, str]:
    """As much of the document as has few enough elements, and what is said of that."""
    most = FEW_ELEMENTS + len(html) // CHARACTERS_AN_ELEMENT
    for number, tag in enumerate(_TAG.finditer(html)):
        if number == most:
            return html[: tag.start()], f"cut after {most:,} elements"
    return html, ""


def main_text(html: str) -> tuple[str, str]:
    """As `html_text`, by this process, of a document of few enough elements. Raises what its parsers raise."""
    import trafilatura
    from trafilatura.utils import HTML_PARSER

    page = trafilatura.load_html(html)
    if page is None:
        return "", ""
    ended = HTML_PARSER.error_log.filter_from_fatals()
    _unwrap(page)
    with in_one_pass(), links_in_one_pass():
        text = trafilatura.extract(page, include_comments=False, include_tables=True, with_metadata=False)
    return text or "", "cut where elements lie more than 256 deep" if "Excessive depth" in str(ended) else ""


def _unwrap(page: "HtmlElement") -> None:
    """Give the elements the text that a browser shows, in place.

    Markup within sentences is taken off, each run of white space outside `<pre>` is one space, and bare text with links
    in it is a paragraph: else lines of the source, and parts of sentences, would be lines of the text.
    """
    from lxml import etree

    etree.strip_tags(page, *_MARKUP)
    depth = 0
    containers: list[HtmlElement] = []
    for event, element in etree.iterwalk(page, events=("start", "end")):
        kept = element.tag in _AS_WRITTEN
        if event == "start":
            depth += kept
            if not depth and element.text:
                element.text = _SPACE.sub(" ", element.text)
            if not depth and element.tag in _CONTAINERS and any(child.tag == "a" for child in element):
                containers.append(element)
        else:
            depth -= kept
            if not depth and element.tail:
                element.tail = _SPACE.sub(" ", element.tail)
    if len(containers) <= MAX_WRAPPED:
        for element in containers:
            _wrap_bare_text(element)


def _wrap_bare_text(container: "HtmlElement") -> None:
    """Put each run of bare text and links into a paragraph; links alone stay as they are."""
    children = list(container)
    text, container.text = container.text or "", None
    run: list[HtmlElement] = []
    parts: list[HtmlElement] = []

    def end() -> None:
        nonlocal text
        bare = "".join([text, *(child.tail or "" for child in run)]).strip()
        if bare:
            paragraph = container.makeelement("p")
            paragraph.text = text
            paragraph.extend(run)
            parts.append(paragraph)
        else:
            parts.extend(run)
        run.clear()
        text = ""

    for child in children:
        if child.tag == "a":
            run.append(child)
            continue
        end()
        text, child.tail = child.tail or "", None
        parts.append(child)
    end()
    container[:] = parts


def _child() -> None:
    import logging

    import trafilatura  # noqa: F401  # now, rather than at the first page

    def read(data: bytes) -> bytes:
        text, cut = main_text(data.decode("utf-8", "replace"))
        return f"{cut}\n{text}".encode("utf-8", "replace")

    logging.disable()  # what is odd about pages is nobody's business here
    serve(read)


if __name__ == "__main__":
    _child()

"""The main text of an HTML document, by trafilatura (extra `web`), its lines as a browser would break them."""

import re
from typing import TYPE_CHECKING, Final

from gog.schemas import FailureClass
from gog.transforms.services.protocols import ServiceError

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
_SPACE: Final = re.compile(r"[ \t\n\r\f]+")


def html_text(html: str) -> str:
    """The main text of an HTML document, one line a paragraph; empty where there is none.

    Raises `ServiceError` (`bad_request`) on what cannot be read as HTML.
    """
    import trafilatura

    try:
        page = trafilatura.load_html(html)
        if page is None:
            return ""
        _unwrap(page)
        text = trafilatura.extract(page, include_comments=False, include_tables=True, with_metadata=False)
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError, AssertionError) as error:
        # What its parsers raise on documents that were made to break them.
        raise ServiceError(FailureClass.BAD_REQUEST, f"not readable as HTML ({type(error).__name__})") from None
    return text or ""


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

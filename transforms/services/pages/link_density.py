"""How much of each part of a page is links, in one pass over the page.

trafilatura's readability asks that of every part that may be the text, and measures all links of each anew: the parts
times the links, which a page of 100 kB can make a second and more.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_SCORE: Final = "score_paragraphs"
_DENSITY: Final = "get_link_density"


@contextmanager
def links_in_one_pass() -> Iterator[None]:
    """Have trafilatura's readability score by `LinkLengths`, in this thread's process."""
    from trafilatura.readability_lxml import Document, text_length

    scored, density = vars(Document)[_SCORE], vars(Document)[_DENSITY]

    def score(document: Any) -> Any:
        links = LinkLengths(document.doc)
        setattr(Document, _DENSITY, lambda _, part: links.within(part) / (text_length(part) or 1))
        try:
            return scored(document)
        finally:
            setattr(Document, _DENSITY, density)

    setattr(Document, _SCORE, score)
    try:
        yield
    finally:
        setattr(Document, _SCORE, scored)


class LinkLengths:
    """Lengths of the links within each element of a tree that does not change meanwhile."""

    def __init__(self, root: "HtmlElement") -> None:
        from lxml.etree import iterwalk
        from trafilatura.readability_lxml import text_length

        self._sums = [0]
        """Of the links up to each, in the document's order."""
        self._links: dict[Any, list[int]] = {}
        """Of each element, where in `_sums` its links begin and end."""
        for event, element in iterwalk(root, events=("start", "end")):
            if event == "start" and element.tag == "a":
                self._sums.append(self._sums[-1] + text_length(element))
            self._links.setdefault(element, []).append(len(self._sums) - 1)

    def within(self, element: "HtmlElement") -> int:
        """Characters of the links below the element, as readability counts them: one within another counts twice."""
        begin, end = self._links[element]
        return self._sums[end] - self._sums[begin]

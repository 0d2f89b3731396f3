"""justext's classes of paragraphs in one pass: its own looks from each at all its neighbours, for hours on a long list.

trafilatura asks justext where its own text is short. The classes are the same.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

_NAME: Final = "revise_paragraph_classification"
_CERTAIN: Final = frozenset({"good", "bad"})
_ANY: Final = frozenset({"good", "bad", "neargood"})


@contextmanager
def in_one_pass() -> Iterator[None]:
    """Have trafilatura use `revise`, in this thread's process."""
    from trafilatura import external

    named = vars(external)
    theirs = named[_NAME]
    named[_NAME] = revise
    try:
        yield
    finally:
        named[_NAME] = theirs


def revise(paragraphs: Sequence[Any], max_heading_distance: int = 0) -> None:
    """Set `class_type` of justext's paragraphs to good or bad by `cf_class` and their neighbours'.

    Headings count as other text, as trafilatura has it.
    """
    classes = [paragraph.cf_class for paragraph in paragraphs]
    before, after = _nearest(classes, _CERTAIN), _nearest(classes[::-1], _CERTAIN)[::-1]
    before_any, after_any = _nearest(classes, _ANY), _nearest(classes[::-1], _ANY)[::-1]
    revised = list(classes)
    for at, own in enumerate(classes):
        if own == "short":
            around = {before[at], after[at]}
            # Bad on one side alone: it goes with a neighbour that is nearly good.
            near = (before[at], before_any[at]), (after[at], after_any[at])
            good = around == {"good"} or (len(around) == 2 and ("bad", "neargood") in near)
            revised[at] = "good" if good else "bad"
    after = _nearest(revised[::-1], _CERTAIN)[::-1]
    last = "bad"
    for at, own in enumerate(revised):
        if own == "neargood":
            revised[at] = "bad" if (last, after[at]) == ("bad", "bad") else "good"
        last = revised[at]
    for paragraph, own in zip(paragraphs, revised, strict=True):
        paragraph.class_type = own


def _nearest(classes: Sequence[str], wanted: frozenset[str]) -> list[str]:
    """For each, the last before it that is wanted; bad where there is none."""
    found: list[str] = []
    last = "bad"
    for own in classes:
        found.append(last)
        last = own if own in wanted else last
    return found

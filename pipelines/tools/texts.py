"""A text of one's own, and what files that hold many of them are read by."""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import Protocol

Skipped = list[tuple[str, str]]
"""What is left out: where it is, and why."""


@dataclass(frozen=True, slots=True)
class Text:
    """A line of the texts, or a page."""

    where: str
    image: str
    title: str
    text: str
    url: str

    @property
    def address(self) -> str:
        """The address of its page."""
        return self.url or self.image or self.where

    @property
    def keys(self) -> set[str]:
        """What a title that stands alone may name it by."""
        return {key for key in (self.address, self.title.casefold()) if key}


class Packed(Protocol):
    """A file that holds pages, pictures, or both, read from its beginning whenever it is asked."""

    def pages(self, skipped: Skipped) -> Iterator[Text]:
        """All that may be pages. What is neither page nor picture, and why, goes into `skipped`."""
        ...

    def pictures(self) -> Iterator[tuple[Text, bytes]]:
        """Each picture's file, with what is said of it."""
        ...

    def told(self, of: Set[str]) -> set[str]:
        """Which of some keys (`Text.keys`) are those of a page that has a text."""
        ...

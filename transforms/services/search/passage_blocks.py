"""Pages by the block, as a corpus has them: passages, and how often each has which word. What a block comes to depends
on nothing but its pages, so that any process may do it.
"""

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from gog.schemas import canonical_json
from gog.transforms.services.search.excerpts import UNSPACED, headed_passages, passages, words
from gog.transforms.services.search.index_folder import MAX_ADDRESS, clean
from gog.transforms.services.search.word_writer import CountedWords, WordCounts

PASSAGE: Final = 1500
"""Characters of a passage, about; a longer paragraph is cut between sentences."""
ENCODED: Final = 500
"""Where an encoder reads them: a vector tells little of a long text, and a snippet shows most of a short one."""
TITLE_WEIGHT: Final = 4
"""A word of the title counts as often."""
MAX_PAGE: Final = 1_000_000
PAGES: Final = 2000
"""Of a block, at most,"""
CHARACTERS: Final = 1_000_000
"""and as much text, but for its last page."""

Page = tuple[str, str, str]
"""Address, title and text, as they came."""


class Block(NamedTuple):
    """Pages in a row."""

    first: int
    """Number of its first page."""
    pages: list[Page]

    def key(self) -> bytes:
        """Hash of all that it says."""
        digest = hashlib.sha256(self.first.to_bytes(8, "big"))
        for part in (part for page in self.pages for part in page):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "big") + data)
        return digest.digest()


class Counted(NamedTuple):
    """What a block comes to."""

    lines: bytes
    """Of `passages.jsonl`."""
    sizes: bytes
    """Of each line, int32."""
    words: CountedWords
    pages: bytes
    """Passages of each page, int32."""
    paired: bool
    """Whether a passage has letters that are taken in pairs."""
    skipped: list[tuple[str, str]]


def blocks(pages: Iterable[Page]) -> Iterator[Block]:
    """The pages in blocks."""
    first, some, size = 0, list[Page](), 0
    for url, title, text in pages:
        text = text[:MAX_PAGE]
        some.append((url, title, text))
        size += len(text)
        if len(some) == PAGES or size >= CHARACTERS:
            yield Block(first, some)
            first, some, size = first + len(some), [], 0
    if some:
        yield Block(first, some)


def counter() -> "Callable[[Block, bool], Counted]":
    """`count`, for `gog.transforms.cores`."""
    return count


def count(block: Block, encoded: bool) -> Counted:
    """Passages and words of a block's pages; `encoded` where an encoder reads them, too."""
    skipped: list[tuple[str, str]] = []
    lines, sizes, counts, pages = bytearray(), array("i"), WordCounts(), array("i")
    paired = False
    for address, heading, body in _readable(block, skipped):
        before = len(sizes)
        for under, passage in _passages(body, heading, encoded=encoded):
            line = f"{canonical_json({'url': address, 'title': heading, 'text': passage})}\n".encode()
            lines += line
            sizes.append(len(line))
            counts.add(words(heading) * TITLE_WEIGHT + words(under) + words(passage))
            paired = paired or UNSPACED.search(passage) is not None
        pages.append(len(sizes) - before)
    return Counted(bytes(lines), sizes.tobytes(), counts.counted(), pages.tobytes(), paired, skipped)


def to_encode(block: Block) -> Iterator[tuple[str, str]]:
    """Of each passage of a block its page's address, and what an encoder reads of it."""
    for address, heading, body in _readable(block, []):
        for under, passage in _passages(body, heading, encoded=True):
            yield address, ". ".join(part for part in (heading, under, passage) if part)


def _readable(block: Block, skipped: list[tuple[str, str]]) -> Iterator[Page]:
    """Those that go in, cleaned; the others, and why, into `skipped`."""
    for number, (url, title, text) in enumerate(block.pages, block.first):
        address, heading = clean(url, MAX_ADDRESS), clean(title, 300)
        body = text.encode("utf-8", "replace").decode("utf-8")
        reason = "no address" if not address else "no words" if not words(f"{heading} {body}") else ""
        if reason:
            skipped.append((address or f"page {number}", reason))
        else:
            yield address, heading, body


def _passages(body: str, title: str, *, encoded: bool) -> Iterable[tuple[str, str]]:
    """Passages, each with the heading that it stands under."""
    if not words(body):
        return [("", title)]
    return headed_passages(body, ENCODED) if encoded else (("", passage) for passage in passages(body, PASSAGE))

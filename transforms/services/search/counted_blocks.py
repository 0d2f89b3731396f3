"""The blocks of a corpus, counted by all processes that there are, in order; each is kept as soon as it is done."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from gog.transforms import cores
from gog.transforms.services.search.begun import Begun, Done
from gog.transforms.services.search.passage_blocks import Block, Counted, Page, blocks, counter
from gog.transforms.services.search.word_writer import WordWriter

LINES: Final = "passages.jsonl"
SIZES: Final = "sizes.bin"
PAGES: Final = "pages.bin"
COUNTS: Final = "counts.bin"
_WORDS: Final = "words.txt"
_LENGTHS: Final = "lengths.bin"
GROWING: Final = (LINES, SIZES, PAGES, COUNTS, _WORDS, _LENGTHS)
"""Files of a build that is begun: lines of passages, their sizes, how many a page has, numbered counts, new words,
lengths of passages.
"""


def counted_blocks(
    pages: Iterable[Page], begun: Begun, writer: WordWriter, *, encoded: bool
) -> Iterator[tuple[Block, Done]]:
    """All blocks, each with what it came to, now or when the build was begun; `writer` has then numbered its words.

    They come out the same, however many processes there are. Raises `OSError`.
    """
    for block, key, found in _ahead(pages, begun, encoded=encoded):
        if isinstance(found, Done):
            done = found
            writer.again(done.pieces[_WORDS].decode().split("\n")[:-1], done.pieces[_LENGTHS])
        else:
            counted = found.result()
            words = writer.numbered(counted.words)
            pieces = {
                LINES: counted.lines,
                SIZES: counted.sizes,
                PAGES: counted.pages,
                COUNTS: words.counts,
                _WORDS: "".join(f"{word}\n" for word in words.vocabulary).encode(),
                _LENGTHS: words.lengths,
            }
            told = {"paired": counted.paired, "skipped": counted.skipped}
            done = Done(pieces, told)
            begun.add(key, done)
        yield block, done


def _ahead(
    pages: Iterable[Page], begun: Begun, *, encoded: bool
) -> Iterator[tuple[Block, bytes, "Done | Future[Counted]"]]:
    """Blocks in order; some of those behind are being counted."""
    count = cores.Spread(counter)
    width = cores.width() if cores.are_used() else 1
    ahead = deque[tuple[Block, bytes, Done | Future[Counted]]]()
    pool = ThreadPoolExecutor(width, "gog-words")
    try:
        for block in blocks(pages):
            key = block.key()
            ahead.append((block, key, begun.next(key) or pool.submit(count, block, encoded)))
            if len(ahead) > 2 * width:
                yield ahead.popleft()
        begun.ended()
        yield from ahead
    finally:
        pool.shutdown(cancel_futures=True)

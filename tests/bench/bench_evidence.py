"""How much of the evidence out of real pages begins in the middle of a sentence.

The pages and PDFs come out of documentation packages of Debian, unpacked below one folder:

    apt-get download python3.11-doc postgresql-doc-15 maxima-doc ... && for f in *.deb; do dpkg-deb -x $f DEB/$f; done
    python tests/bench/bench_evidence.py DEB [--pages 200] [--pdfs 20]

Each page is asked for with the rare words of five of its sentences. A piece of evidence begins well where a block or
a sentence of the document begins, as its own markup has it; of a PDF, and of what is not found there, when its first
letter is no small one.
"""

import argparse
import asyncio
import gzip
import random
import re
import time
from collections import Counter
from pathlib import Path
from typing import Final

from lxml import etree, html

from gog.transforms.services.pages.html import html_text
from gog.transforms.services.pages.pdf import pdf_text
from gog.transforms.services.pages.reading import relevant
from gog.transforms.services.protocols import ServiceError

QUERIES: Final = 5
CHARACTERS: Final = 1000
_BLOCKS: Final = frozenset(
    re.findall(
        r"\w+",
        """address article aside blockquote body br caption center dd details div dl dt fieldset figcaption figure
        footer form h1 h2 h3 h4 h5 h6 header hr legend li main nav ol option p pre section summary table td th
        title tr ul""",
    )
)
_END: Final = re.compile(r"[.!?:;\u3002\uff01\uff1f]['\"\u2019\u201d)\]]*\s*$")


def shown(source: str) -> str:
    """The text of a page with a line for each block, as a browser shows it."""
    try:
        tree = html.document_fromstring(source.encode("utf-8", "replace"), parser=html.HTMLParser(encoding="utf-8"))
    except (etree.ParserError, ValueError):
        return ""
    parts: list[str] = []
    depth = 0
    for event, element in etree.iterwalk(tree, events=("start", "end")):
        if not isinstance(element.tag, str):
            parts.append(element.tail or "" if event == "end" else "")
            continue
        if element.tag in _BLOCKS:
            parts.append("\n")
        depth += (event == "start") - (event == "end") if element.tag == "pre" else 0
        said = (element.text if event == "start" else element.tail) or ""
        parts.append(said if depth else re.sub(r"\s+", " ", said))
    return "".join(parts)


def _letters(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


class Reference:
    """Where blocks and sentences of a page begin."""

    def __init__(self, text: str) -> None:
        self._letters = _letters(text)
        self._starts: set[int] = set()
        at = 0
        for line in text.split("\n"):
            begins = True
            for word in re.findall(r"[^\s\u3002\uff01\uff1f]+[\u3002\uff01\uff1f]*|[\u3002\uff01\uff1f]+", line):
                if begins:
                    self._starts.add(at)
                at += len(_letters(word))
                begins = _END.search(word) is not None

    def begins(self, piece: str) -> bool | None:
        """Whether a piece begins a block or sentence; None where it is not found."""
        head = _letters(piece)[:40]
        if not head:
            return None
        at = self._letters.find(head)
        if at < 0:
            return None
        while at >= 0:
            if at in self._starts:
                return True
            at = self._letters.find(head, at + 1)
        return False


def queries(text: str, rng: random.Random) -> list[str]:
    """Rare words of some of the sentences."""
    counts = Counter(re.findall(r"[^\W\d_]{4,}", text.lower()))
    said = [s for s in re.split(r"(?<=[.!?])\s+|\n+", text) if 40 < len(s) < 400]
    return [
        " ".join(sorted(set(re.findall(r"[^\W\d_]{4,}", s.lower())), key=lambda w: (counts[w], w))[:4])
        for s in rng.sample(said, min(QUERIES, len(said)))
    ]


def measured(name: str, documents: list[tuple[str, str | None]], rng: random.Random) -> None:
    """Print the figures of texts, each with the page as a browser shows it, or None."""
    pieces = middle = small = 0
    examples = []
    for text, page in documents:
        reference = Reference(page) if page is not None else None
        for query in queries(text, rng):
            for piece in re.split(r"\s*\u2026 ", relevant(text, query, CHARACTERS)):
                if not piece.strip():
                    continue
                pieces += 1
                small += piece[0].islower()
                begins = reference.begins(piece) if reference is not None else None
                if not (begins if begins is not None else not piece[0].islower()):
                    middle += 1
                    examples.append(piece[:70])
    share = middle / max(1, pieces)
    print(f"{name}: {pieces} pieces of evidence, {middle} ({share:.1%}) begin in the middle of a sentence")
    print(f"  {small} ({small / max(1, pieces):.1%}) begin with a small letter")
    for example in rng.sample(examples, min(6, len(examples))):
        print(f"  such as: {example}")


def main() -> None:
    """Read and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--pdfs", type=int, default=20)
    options = parser.parse_args()
    rng = random.Random(0)
    packages = sorted(path for path in options.folder.iterdir() if path.is_dir())
    chosen: dict[str, list[Path]] = {"pages": [], "pdfs": []}
    for kind, endings in (("pages", (".html", ".htm")), ("pdfs", (".pdf", ".pdf.gz"))):
        of = [sorted(p for p in package.rglob("*") if p.is_file() and p.name.endswith(endings)) for package in packages]
        piles = [rng.sample(files, len(files)) for files in of if files]
        wanted = getattr(options, kind)
        while piles and len(chosen[kind]) < wanted:
            for pile in piles:
                file = pile.pop()
                if 2_000 < file.stat().st_size < (300_000 if kind == "pages" else 3_000_000):
                    chosen[kind].append(file)
            piles = [pile for pile in piles if pile]
        chosen[kind] = chosen[kind][:wanted]
    begun = time.monotonic()
    pages: list[tuple[str, str | None]] = []
    for file in chosen["pages"]:
        source = file.read_bytes().decode("utf-8", "replace")
        pages.append((asyncio.run(html_text(source))[0], shown(source)))
    print(f"{len(pages)} pages read in {time.monotonic() - begun:.0f} s")
    measured("pages", pages, rng)
    begun = time.monotonic()
    texts: list[tuple[str, str | None]] = []
    for file in chosen["pdfs"]:
        data = file.read_bytes()
        try:
            read = asyncio.run(pdf_text(gzip.decompress(data) if file.name.endswith(".gz") else data))
        except ServiceError as error:
            print(f"{file.name}: {error.detail}")
            continue
        texts.append((read if isinstance(read, str) else read[0], None))
    print(f"{len(texts)} PDFs read in {time.monotonic() - begun:.0f} s")
    measured("PDFs", texts, rng)


if __name__ == "__main__":
    main()

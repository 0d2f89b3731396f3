"""Indexes as users build them, and how often they find the right thing, with an interval."""

import asyncio
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from fakes import MemoryImages
from real_search.articles import Question
from real_search.photographs import Asked

from gog.transforms.images import encode
from gog.transforms.label.complexity import wilson
from gog.transforms.services.search.corpus import Corpus
from gog.transforms.services.search.gallery import Gallery

Places = dict[str, list[int]]
"""By kind of question: the place of the right thing, from 1, each; `NOWHERE` beyond what was looked at."""
NOWHERE = 99


def index_build(out: Path, *words: object) -> Path:
    """`gog index build` as it is typed; it has to end well."""
    command = [str(Path(sys.executable).with_name("gog")), "index", "build", "--out", str(out), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def of_pictures(index: Path, asked: Iterable[Asked]) -> Places:
    """The places among the first three."""
    images = MemoryImages()
    gallery = Gallery.open(index / "gallery", images)

    async def ask() -> Places:
        found: Places = {}
        for kind, picture, title in asked:
            hits = await gallery.search(images.put(*encode(picture)), 3)
            found.setdefault(kind, []).append(_place([hit.title for hit in hits], title))
        return found

    return asyncio.run(ask())


def of_articles(index: Path, asked: Iterable[Question]) -> Places:
    """The places among the first ten."""
    corpus = Corpus.open(index / "corpus")

    async def ask() -> Places:
        found: Places = {}
        for question in asked:
            hits = await corpus.search(question.words, 10)
            found.setdefault(question.kind, []).append(_place([hit.url for hit in hits], question.url))
        return found

    return asyncio.run(ask())


def _place(found: list[str], right: str) -> int:
    return found.index(right) + 1 if right in found else NOWHERE


def among(places: list[int], first: int) -> int:
    """How many are among the first."""
    return sum(place <= first for place in places)


def share(right: int, of: int) -> str:
    """As a count, and its 95% interval (Wilson) in percent."""
    low, high = wilson(right, of)
    return f"{right}/{of} ({100 * low:.0f}-{100 * high:.0f}%)"

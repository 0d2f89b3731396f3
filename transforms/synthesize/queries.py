"""Text queries of composed turns: what is searched for has a name, as a teacher that acts for itself would give it."""

import re
from collections.abc import Iterable
from typing import Final

from gog.schemas import Evidence
from gog.transforms.verify.grounding import leading
from gog.transforms.verify.normalise import normalise, unspaced

_WORD: Final = re.compile(r"\w+")


def names_a_find(query: str, question: str, evidence: Iterable[Evidence]) -> bool:
    """Whether the query says more than the question's own words: a word of a leading hit's title of the last search.

    Where nothing was found before, a query has only the question to go by, and any that has two words will do. Words
    under three letters say nothing, except in a script without spaces.
    """
    wanted = normalise(query)
    asked = normalise(question)
    found = [hit.title for item in list(evidence)[-1:] for hit in leading(item.hits)]
    names = {word for title in found for word in _WORD.findall(normalise(title)) if _says(word)}
    if not names:
        return len([word for word in _WORD.findall(wanted) if _says(word)]) > 1 or unspaced(wanted)
    own = {word for word in names if word not in asked} or names
    return any(word in wanted for word in own)


def _says(word: str) -> bool:
    return len(word) >= (2 if unspaced(word) else 3)

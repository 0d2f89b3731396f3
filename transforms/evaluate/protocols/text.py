"""Normalisation and token overlap as the published scripts do them.

Not `gog.transforms.verify.normalise`, on purpose: that one folds accents, number words and scripts, and would give
other numbers than those published.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Final

MAX_CHARS: Final = 100_000
"""Characters of an answer that are read; the published scripts have no limit."""

_NO_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)
_ARTICLES: Final = re.compile(r"\b(?:a|an|the)\b")


def squad(text: str) -> str:
    """Lower case, no ASCII punctuation, no English articles, single spaces, in this order.

    Source: the SQuAD 1.1 evaluation script (Rajpurkar et al. 2016), which InfoSeek, MMSearch and the peers' exact match
    share. Text of punctuation and articles alone becomes the empty string.
    """
    plain = text[:MAX_CHARS].lower().translate(_NO_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def shared(one: Sequence[str], other: Sequence[str]) -> int:
    """How many tokens two texts have in common, each as often as both have it."""
    return (Counter(one) & Counter(other)).total()


def token_f1(prediction: str, gold: str) -> float:
    """F1 of the normalised tokens; when either has none, whether both have none."""
    said, wanted = squad(prediction).split(), squad(gold).split()
    if not said or not wanted:
        return float(said == wanted)
    common = shared(said, wanted)
    if common == 0:
        return 0.0
    precision, recall = common / len(said), common / len(wanted)
    return 2 * precision * recall / (precision + recall)

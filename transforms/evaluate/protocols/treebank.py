"""Words as the Penn Treebank writes them, for lower-case text.

Source: the tokenization rules of the Penn Treebank (R. MacIntyre 1995), with the quotes and dashes of Unicode as NLTK's
`word_tokenize` adds them, which DynVQA's script calls. Sentences are not told apart first, as NLTK does with a trained
model that it downloads: only the last full stop of the text is a word of its own.
"""

import re
from typing import Final

# In this order: a rule sees what those before it made.
_RULES: Final = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"([«“‘„]|`+)", r" \1 "),
        (r'^"', "``"),
        (r"``", " `` "),
        (r"([ (\[{<])(?:\"|'')", r"\1 `` "),
        (r"(?<!\w)'(?!(?:re|ve|ll|m|t|s|d|n)\b)(?=\w)", "' "),
        (r"(?<=[^.])(\.)([\])}>\"' »”’]*+)\s*$", r" \1 \2 "),
        (r"([:,])(\D)", r" \1 \2"),
        (r"([:,])$", r" \1 "),
        (r"(\.{2,}|[;@#$%&\u2012-\u2015])", r" \1 "),
        (r"(?<=[^.])(\.)([\])}>\"']*+)\s*$", r" \1 \2 "),
        (r"([?!])", r" \1 "),
        (r"(?<=[^'])' ", " ' "),
        (r"([*\[\](){}<>]|--)", r" \1 "),
        (r"([»”’])", r" \1 "),
        (r"''|\"", " '' "),
        (r"\s+|$|^", " "),
        (r"(?<=[^' ])('[smd]?) ", r" \1 "),
        (r"(?<=[^' ])('ll|'re|'ve|n't) ", r" \1 "),
        (r"\b(can)(not)\b|\b(d)('ye)\b|\b(gim)(me)\b|\b(gon)(na)\b|\b(got)(ta)\b|\b(lem)(me)\b|\b(more)('n)\b", None),
        (r"\b(wan)(na)(?=\s)| ('t)(is)\b", None),
        (r" ('t)(was)\b", None),
    )
)


def words(text: str) -> list[str]:
    """The words of a lower-case text."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text) if replacement is not None else pattern.sub(_halves, text)
    return text.split()


def _halves(found: re.Match[str]) -> str:
    return " ".join(["", *(half for half in found.groups() if half is not None), ""])

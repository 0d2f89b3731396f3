"""Words and sentences of a text, and the part of it that says most of a query: whole passages, read as they stand."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from gog.transforms.services.search.index_folder import clean

MAX_QUERY_WORDS: Final = 64
PASSAGE: Final = 500
"""Characters of an excerpt for each passage that it may be made of."""
_CJK: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_UNSPACED: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
"""Letters of Thai, Lao, Burmese and Khmer, whose words stand without spaces: pairs of them are words here."""
_MARKED: Final = "\u0900-\u0963\u0966-\u0dff"
"""Scripts of India, whose vowel signs are no letters to `re`."""
_WORD: Final = re.compile(rf"[{_CJK}]|[{_UNSPACED}]+|(?:[^\W_{_CJK}{_UNSPACED}]|[{_MARKED}])+")
UNSPACED: Final = re.compile(f"[{_UNSPACED}{_MARKED}]")
_ABBREVIATIONS: Final = ("St", "Dr", "Mr", "Mrs", "Prof", "vs", "cf", "resp", "Fig", "No", "pp", "e.g", "i.e", "[A-Z]")
_SENTENCE_END: Final = re.compile(
    "(?<=[.!?])"
    + "".join(rf"(?<!\b{short}\.)" for short in _ABBREVIATIONS)
    + r"\s+(?=[^\sa-z])|(?<=[。！？])|(?<=[।॥؟۔։።။។])\s*|\n+"
)
_STOP: Final = frozenset(
    re.findall(
        r"\w+",
        """a an and are as at be belong belongs by do does for from how in is it its of on or that the this to was
        were what when where which who whose with""",
    )
)
_LETTERS: Final = str.maketrans({"ł": "l", "đ": "d", "ø": "o", "ı": "i", "ß": "ss", "æ": "ae", "œ": "oe"})


def words(text: str) -> list[str]:
    """Words of a text, folded: no case, no accents; characters of Chinese, Japanese and Korean each alone, of scripts
    without spaces in pairs.
    """
    text = re.sub("[’‘ʻʼ'`]", "", text)
    if text.isascii():  # most is, and there is nothing to fold but case
        return _WORD.findall(text.lower())
    folded = unicodedata.normalize("NFKD", text).casefold().translate(_LETTERS)
    folded = unicodedata.normalize("NFC", "".join(ch for ch in folded if not unicodedata.combining(ch)))
    found = _WORD.findall(folded)
    return [part for word in found for part in _pairs(word)] if UNSPACED.search(folded) else found


def _pairs(word: str) -> list[str]:
    if len(word) < 2 or not _UNSPACED_RUN.match(word):
        return [word]
    return [word[at : at + 2] for at in range(len(word) - 1)]


_UNSPACED_RUN: Final = re.compile(f"[{_UNSPACED}]")


def query_words(query: str) -> list[str]:
    """The words that a query is about, each once: common ones are dropped, unless there are no others."""
    found = list(dict.fromkeys(words(query[:4000])))
    return ([word for word in found if word not in _STOP] or found)[:MAX_QUERY_WORDS]


def sentences(text: str) -> list[str]:
    """The sentences of a text, each on one line; a line break ends one."""
    return [clean(sentence, len(sentence)) for sentence in _SENTENCE_END.split(text) if sentence.strip()]


def passages(text: str, size: int) -> Iterator[str]:
    """The text in parts of about `size` characters, cut between paragraphs, then sentences, then anywhere."""
    part = ""
    for paragraph in re.split(r"\n\s*\n", text):
        for piece in _pieces(paragraph.strip(), size):
            if part and len(part) + len(piece) > size:
                yield part
                part = ""
            part = f"{part}\n{piece}" if part else piece
    if part:
        yield part


def headed_passages(text: str, size: int) -> Iterator[tuple[str, str]]:
    """The text in parts of about `size` characters, each with the heading that it stands under (empty where it begins
    with that, or there is none). A part ends before a heading once it is half full.
    """
    part, under, heading = "", "", ""
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]
    for number, paragraph in enumerate(paragraphs):
        heads = number + 1 < len(paragraphs) and _HEADING.fullmatch(paragraph) is not None
        if heads:
            heading = paragraph
            if len(part) >= size // 2:
                yield under, part
                part = ""
        for piece in _pieces(paragraph, size):
            if part and len(part) + len(piece) > size:
                yield under, part
                part = ""
            if not part:
                under = "" if heads else heading
            part = f"{part}\n{piece}" if part else piece
    if part:
        yield under, part


_HEADING: Final = re.compile(r"[^\n]{1,99}[^\n.!?:;,。！？।…]")


def _pieces(paragraph: str, size: int) -> Iterator[str]:
    if len(paragraph) <= size:
        if paragraph:
            yield paragraph
        return
    for sentence in _SENTENCE_END.split(paragraph):
        for start in range(0, len(sentence), size):
            yield sentence[start : start + size]


def excerpt(text: Sequence[str], weights: Mapping[str, float], limit: int, *, among: range | None = None) -> str:
    """The part of a text, given as its sentences, that says most of the weighted words, in at most `limit` characters.

    It is the passage around the sentence that holds most of them: what answers a question often stands beside the
    sentence that shares its words. A long excerpt is made of several such passages. They stand in the text's order,
    with a mark between them, and begin where a sentence does; only a sentence that is too long itself is cut. `among`
    has the sentences that a passage may be around; the others are its neighbours alone.
    """
    holds = [{word for word in words(sentence) if word in weights} for sentence in text]
    gains = [round(sum(weights[word] for word in sorted(held)), 6) for held in holds]
    order = sorted(range(len(text)) if among is None else among, key=lambda i: (-gains[i], i))
    if not order:
        return ""
    if len(text[order[0]]) > limit:
        return _window(text[order[0]], weights, limit)
    count = max(1, limit // PASSAGE)
    room, found, chosen = limit, 0, set[int]()
    for best in order:
        if found == count or (found and not gains[best]):
            break
        size = len(text[best]) + (len(_MARK) if found else 0)
        if best in chosen or size > room:
            continue
        chosen.add(best)
        found += 1
        room -= size
        room -= _grow(text, chosen, best, min(room, max(0, limit // count - size)))
    # What is left goes to what follows: a reader with less room reads the beginning.
    _grow(text, chosen, order[0], room, back=False)
    return _joined(text, chosen)


_MARK: Final = " … "
"""Between sentences that are not neighbours."""


def _grow(text: Sequence[str], chosen: set[int], at: int, room: int, *, back: bool = True) -> int:
    """Take neighbours of a sentence in, from both sides by turns or those after it, and return the characters taken.

    A passage that would begin with a continuation (a line that begins small) goes back to what that continues.
    """
    used, first, last = 0, at, at
    ahead = True
    while True:
        before, after = _next(first, -1, chosen), _next(last, 1, chosen)
        can_before = back and before >= 0 and len(text[before]) + 1 <= room - used
        can_after = after < len(text) and len(text[after]) + 1 <= room - used
        if not (can_before or can_after):
            return used
        begun = not continues(text[before + 1])
        forward = can_after and (not can_before or (begun and ahead))
        taken = after if forward else before
        first, last = (first, after) if forward else (before, last)
        chosen.add(taken)
        used += len(text[taken]) + 1
        ahead = not forward


def _next(at: int, step: int, chosen: set[int]) -> int:
    at += step
    while at in chosen:
        at += step
    return at


def continues(sentence: str) -> bool:
    """Whether a sentence begins as the rest of one."""
    return sentence[:1].islower() or sentence[:1] in ",;:)]}"


def _joined(text: Sequence[str], chosen: Iterable[int]) -> str:
    order = sorted(chosen)
    parts = ["" if not n else " " if order[n - 1] == i - 1 else _MARK for n, i in enumerate(order)]
    return "".join(f"{between}{text[i]}" for between, i in zip(parts, order, strict=True))


def _window(sentence: str, weights: Mapping[str, float], limit: int) -> str:
    """The part of an overlong sentence that begins a little before its first word that was asked for."""
    at = next((m.start() for m in re.finditer(r"\S+", sentence) if any(w in weights for w in words(m.group()))), 0)
    start = max(0, min(at - limit // 4, len(sentence) - limit))
    if not start:
        return sentence[:limit].strip()
    start = max(start, sentence.find(" ", start, start + limit // 4) + 1)
    return f"… {sentence[start : start + limit - 2].strip()}"

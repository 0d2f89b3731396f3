"""An index of questions that finds copies and rewordings of them.

Two ways to be found: a shared run of n = min(13, length) tokens (Brown et al. 2020, appendix C, use 13), and Jaccard
similarity of words and pairs of words, found by MinHash. Being found is no overlap yet: most questions about images
are templates ("what is the name of this building"), asked of thousands of images by people who never saw the
benchmark. `TextMatch.alone` marks the matches that stand without an image; see `_alone` for the rule.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from gog.transforms.duplicates.benchmarks.settings import OverlapSettings
from gog.transforms.duplicates.near import Words, minhash_bands, shingles, similarity
from gog.transforms.verify.normalise import normalise, unspaced

NGRAM: Final = 13
SHORTEST: Final = 3
"""Tokens that a question has at least; a shorter one is never looked for."""
LONGEST_TEXT: Final = 20_000
"""Characters of a text that are looked at."""

_WORD: Final = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")
_SENTENCE_END: Final = '.?!:;"“”\n'
_MOSTLY: Final = 0.6
_NAMING_CHARACTERS: Final = 4
# Characters that questions about any picture are made of; a run of others names something.
_COMMON: Final = frozenset(
    "的一是在有人这那个哪什么谁多少几时候年月日为因何怎样吗呢吧了着过和与或及其他它她们我你您请问回答根据基于以下上中下里内外"
    "前后左右图片像照画面张幅显示展所属于来自被把将对从到由用能可以会要不没很最更第位名字称叫作做出现开始结束建成立造国家城"
    "市地方点区物品动植建筑塔桥公司牌子电影视节目书歌曲队员运动比赛场次总统导演作者主角色颜种类型号数量大小高长度说明关"
    "介绍具体确切正式当今现目前正在进行发生事件活主要首先后最近如果同样者性家世界该此其中"
)


class TextMatch(NamedTuple):
    """A question of the index that a text shares a run of tokens with, or nearly all words."""

    question: int
    run: str
    """The shared run; empty when the words are near and no run is long enough."""
    similarity: float
    """Jaccard similarity of words and pairs; 0 where only runs were compared."""
    alone: bool
    """Whether the text alone is an overlap, whatever the image."""

    @property
    def how(self) -> str:
        """In words."""
        return f"it shares {self.run[:120]!r}" if self.run else f"nearly its words, similarity {self.similarity:.2f}"


class QuestionIndex:
    """Questions to be found again; their number is their place in the sequence."""

    def __init__(self, questions: Sequence[str], settings: OverlapSettings | None = None) -> None:
        """Index questions, each different from the others."""
        self.questions, self.settings = tuple(questions), settings or OverlapSettings()
        self._tokens: list[tuple[str, ...]] = []
        self._grams: dict[str, list[int]] = {}
        self._bands: dict[tuple[int, bytes], list[int]] = {}
        self._words: dict[int, Words] = {}
        lengths = set[int]()
        for number, question in enumerate(self.questions):
            words = tokens(question)
            self._tokens.append(words)
            if len(words) < SHORTEST:
                continue
            lengths.add(size := min(NGRAM, len(words)))
            for gram in dict.fromkeys(_grams(words, size)):
                self._grams.setdefault(gram, []).append(number)
            self._words[number] = shingles(question)
            for key in enumerate(minhash_bands(self._words[number])):
                self._bands.setdefault(key, []).append(number)
        self._lengths: tuple[int, ...] = tuple(sorted(lengths))

    def find(self, question: str) -> list[TextMatch]:
        """Matches of a question, in the order of the index."""
        text = tokens(question)
        runs = self._runs(text)
        words = shingles(question)
        near: dict[int, float] = {}
        if len(text) >= SHORTEST:
            for number in {n for key in enumerate(minhash_bands(words)) for n in self._bands.get(key, ())}:
                alike = similarity(words, self._words[number])
                if alike >= self.settings.question_similarity:
                    near[number] = alike
        matches = [
            TextMatch(number, run := runs.get(number, ""), alike := near.get(number, 0.0),
                      self._alone(number, run, text if alike else ()))
            for number in sorted(runs.keys() | near.keys())
        ]  # fmt: skip
        if sum(match.alone for match in matches) > self.settings.question_rows:
            return [match._replace(alone=False) for match in matches]
        return matches

    def find_in(self, text: str) -> list[TextMatch]:
        """Questions whose long runs stand in a page; only those that need no image."""
        runs = self._runs(tokens(text[:LONGEST_TEXT]))
        return [TextMatch(n, runs[n], 0.0, True) for n in sorted(runs) if self._alone(n, runs[n], ())]

    def stands_alone(self, number: int) -> bool:
        """Whether a copy of the question would be found without its image."""
        return len(self._tokens[number]) >= SHORTEST and self._alone(number, " ".join(self._tokens[number]), ())

    def _runs(self, text: tuple[str, ...]) -> dict[int, str]:
        """The longest run that each question shares with the text, where that is an n-gram or longer."""
        runs: dict[int, None] = {}
        for size in self._lengths:
            for gram in _grams(text, size):
                runs |= dict.fromkeys(self._grams.get(gram, ()))
        return {number: " ".join(_longest_run(self._tokens[number], text)) for number in runs}

    def _alone(self, number: int, run: str, near: tuple[str, ...]) -> bool:
        """Whether a match needs no image: it is long, it names something, and few questions hold it.

        Long: `question_words`. Names something: a number, a capitalised name, or in scripts without spaces and capitals
        some characters that are not of every other question. What shares no run but nearly all words (`near`: the
        text's tokens) must have all names of the question.
        """
        own = self._tokens[number]
        shared = tuple(run.split()) or own
        if _weight(shared) < self.settings.question_words:
            return False
        names = naming(self.questions[number])
        if run:
            names &= frozenset(shared)
        elif not near or not names <= frozenset(near):
            return False
        spoken = [name for name in names if not unspaced(name)]
        if not spoken and len(names) < _NAMING_CHARACTERS:
            return False
        size = min(NGRAM, len(own))
        return (
            min((len(self._grams.get(gram, ())) for gram in _grams(shared, size)), default=0)
            <= self.settings.question_rows
        )


def tokens(text: str) -> tuple[str, ...]:
    """Words of a text, normalised; single characters where a script writes no spaces."""
    return tuple(_tokens(normalise(text)))


def naming(question: str) -> frozenset[str]:
    """Tokens of a question, normalised, that name something: numbers, capitalised words, uncommon characters."""
    words = list(_WORD.finditer(question))
    cased = [word for word in words if word[0][0].isalpha() and not unspaced(word[0])]
    capital = [word for word in cased if word[0][0].isupper() and len(word[0]) > 1]
    if len(cased) > 3 and len(capital) > _MOSTLY * len(cased):
        capital = []  # a Title Has Them Everywhere
    inside = [word for word in capital if not _opens(question, word.start())]
    spoken = [word for word in words if any(char.isdigit() for char in word[0])] + inside
    names = {token for word in spoken for token in tokens(word[0]) if not unspaced(token)}
    return frozenset(names) | {token for token in tokens(question) if unspaced(token) and token not in _COMMON}


def _opens(question: str, start: int) -> bool:
    before = question[:start].rstrip(" '‘(")
    return not before or before[-1] in _SENTENCE_END


def _tokens(normalised: str) -> Iterator[str]:
    for word in normalised.split():
        if not unspaced(word):
            yield word
            continue
        for characters, part in groupby(word, key=unspaced):
            if characters:
                yield from part
            else:
                yield "".join(part)


def _grams(text: tuple[str, ...], size: int) -> Iterator[str]:
    for start in range(len(text) - size + 1):
        yield " ".join(text[start : start + size])


def _weight(run: tuple[str, ...]) -> float:
    return sum(0.5 if unspaced(token) else 1.0 for token in run)


def _longest_run(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    """The longest run of tokens that both hold; the first of those in `a`."""
    best = end = 0
    before: dict[int, int] = {}
    places: dict[str, list[int]] = {}
    for at, token in enumerate(b):
        places.setdefault(token, []).append(at)
    for at, token in enumerate(a):
        now = {place: before.get(place - 1, 0) + 1 for place in places.get(token, ())}
        for length in now.values():
            if length > best:
                best, end = length, at + 1
        before = now
    return a[end - best : end]

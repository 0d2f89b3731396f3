"""DynVQA, all versions: pictures by URL alone; `gloden_query` until 202412, `golden_query` in 202502.

Many English rows have only Chinese answers (462 of 715 in 202410, 85 of 706 in 202502): they are flagged, since no
English answer can match them. The version stands in the file's name, and belongs in every result.

DynVQA's own protocol: the share of the answer's tokens that the prediction has ("F1-Recall").

Source: Li et al. 2024, arXiv 2411.02937 (OmniSearch), and the authors' script (github.com/Alibaba-NLP/OmniSearch,
`src/Omnisearch_gpt/evaluate.py`). The prediction is normalised as the VQA evaluation does, the accepted answers are
not; both are then cut into words (English: Penn Treebank; Chinese: jieba); the best accepted answer counts. There is no
precision: a long answer is never worse than a short one, so read it beside the judge's number.

Kept as published: at most 32 full stops are removed, marks are joined or parted by what stands anywhere in the text,
and `St. Louis` loses its stop in the prediction alone, so that the very same text scores a half.

English text is cut by `treebank.words`, which says where it differs from NLTK's. jieba is no dependency: an item in
Chinese is a `MissingError` without it.
"""

import importlib
import logging
import re
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from gog.transforms.evaluate.benchmark import Benchmark
from gog.transforms.evaluate.items import BenchItem
from gog.transforms.evaluate.protocols.measures import mean_as
from gog.transforms.evaluate.protocols.protocol import Protocol
from gog.transforms.evaluate.protocols.scores import MissingError, Score, valued
from gog.transforms.evaluate.protocols.text import MAX_CHARS, shared
from gog.transforms.evaluate.protocols.treebank import words
from gog.transforms.evaluate.questions import (
    PublishedSet,
    Question,
    first_text,
    flat_texts,
    other_language,
    parsed_list,
    present,
)

_NAME: Final = re.compile(r"(?:^|[_./-])(?P<language>en|zh)(?=$|[_./-])", re.IGNORECASE)
_VERSION: Final = re.compile(r"(?<!\d)(20\d{4})(?!\d)")
_CHINESE: Final = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


def adapt(file: str, row: Mapping[str, Any]) -> Sequence[Question]:
    """One question; language and version are those of the file's name, or of the question's id (`en1`)."""
    name = file.rpartition("/")[2]
    answers = parsed_list(present(row, "answer"))
    found = _NAME.search(name)
    identity = first_text(row, "question_id")
    language = found["language"].lower() if found else ("zh" if identity.startswith("zh") else "en")
    texts = flat_texts(answers)
    chinese = language == "en" and bool(texts) and all(_CHINESE.search(text) for text in texts)
    version = _VERSION.search(name)
    return [
        Question(
            question=present(row, "question"),
            answers=answers,
            image=present(row, "image_url"),
            id=identity,
            language=language,
            version=version[1] if version else "",
            gold_query=first_text(row, "golden_query", "gloden_query"),
            flags=("chinese_answers_only",) if chinese else (),
        )
    ]


NAME: Final = "dynvqa"

_MARKS: Final = ';/[]"{}()=+\\_->@<`,?!'
_COMMA_IN_NUMBER: Final = re.compile(r"\d,\d")
_STOP: Final = re.compile(r"\.(?!\d)")
_STOPS_REMOVED: Final = 32
_ARTICLES: Final = frozenset({"a", "an", "the"})
_DIGITS: Final = {
    word: str(value)
    for value, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    )
} | {"none": "0"}
_DROPPED: Final = {"en": ",.?!:;'\"", "zh": "，、。 ,.《》"}
"""Every word that stands in this text is left out."""

_CONTRACTED: Final = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've he's
how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've needn't not've o'clock
oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd
someone'd've someone'll someone's something'd something'd've something'll that's there'd there'd've there're there's
they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've when's
where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've wouldn't wouldn't've
y'all y'all'll y'all'd've you'd you'd've you'll you're you've
""".split()  # noqa: SIM905


def _missing_apostrophes() -> dict[str, str]:
    """Every contraction of the VQA evaluation by its form with one apostrophe missing."""
    return {
        word[:place] + word[place + 1 :]: word for word in _CONTRACTED for place, char in enumerate(word) if char == "'"
    } | {"somebody'd": "somebodyd"}


_CONTRACTIONS: Final = _missing_apostrophes()


def score(item: BenchItem, prediction: str) -> Score:
    """The official score of one answer. `MissingError` for a Chinese item where jieba is not installed."""
    said = normalised(prediction)
    value = 0.0
    if said:
        said_words = tokens(said, item.language)
        value = max((_recall(tokens(answer, item.language), said_words) for answer in item.answers), default=0.0)
    return valued(item, NAME, value, "tokens", groups(item))


def groups(item: BenchItem) -> tuple[str, ...]:
    """Whether a question in English has answers in Chinese alone, which no English answer can match."""
    return tuple(flag for flag in item.flags if flag == "chinese_answers_only")


def normalised(text: str) -> str:
    """A prediction as the VQA evaluation writes it: no marks, digits up to ten, no articles, apostrophes put in."""
    text = text[:MAX_CHARS].replace("\n", " ").replace("\t", " ").strip()
    grouped = _COMMA_IN_NUMBER.search(text) is not None
    plain = text
    for mark in _MARKS:
        joined = grouped or f"{mark} " in text or f" {mark}" in text
        plain = plain.replace(mark, "" if joined else " ")
    plain = _STOP.sub("", plain, count=_STOPS_REMOVED)
    spoken = (_DIGITS.get(word, word) for word in plain.lower().split())
    return " ".join(_CONTRACTIONS.get(word, word) for word in spoken if word not in _ARTICLES)


def tokens(text: str, language: str) -> list[str]:
    """The words of a text that count, in English (`en`) or Chinese (`zh`)."""
    found = " ".join(_jieba().cut(text[:MAX_CHARS])).split() if language == "zh" else words(text[:MAX_CHARS].lower())
    dropped = _DROPPED["zh" if language == "zh" else "en"]
    return [word for word in found if word not in dropped]


def _recall(gold: list[str], said: list[str]) -> float:
    if not gold or not said:
        return float(gold == said)
    return shared(gold, said) / len(gold)


@cache
def _jieba() -> Any:
    """The default cutter of jieba, loaded once and quietly."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its files are from before Python 3.12
            jieba = importlib.import_module("jieba")
    except ImportError:
        raise MissingError("DynVQA cuts Chinese with jieba, as published: pip install jieba") from None
    jieba.setLogLevel(logging.ERROR)
    return jieba


_SET: Final = PublishedSet(
    name="dynvqa",
    adapt=adapt,
    needs=(("image_url",), ("question",), ("question_id",), ("answer",), ("golden_query", "gloden_query")),
    source="github.com/Alibaba-NLP/OmniSearch",
    image_text="url",
)
BENCHMARK: Final = Benchmark(
    name=NAME,
    splits=("all", "en", "zh"),
    version="",
    where="DynVQA_en.202412.jsonl, or a pattern of such files",
    official=Protocol(NAME, score, groups, mean_as("recall")),
    published=_SET,
    left_out=other_language,
    reported=(16.43, 30.31, 31.59, 19.41, 41.36, 40.51, 39.09, 34.84, 38.53, 46.46, 42.21, 48.02),
)

"""Every protocol takes any answer: no crash, a value within bounds, and time that grows with the length alone."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoring import make_item, make_number

from gog.schemas import AnswerType
from gog.transforms.evaluate.benchmark import BENCHMARKS, protocol_named
from gog.transforms.evaluate.items import BenchItem
from gog.transforms.evaluate.protocols.scores import Grade, Score

GOLDS = [
    make_item("Kenya", "Republic of Kenya", level=1, subset="News", category="glance"),
    make_item("", "?", "the", "\x00"),
    make_item("北京", "القاهرة", "ไทย"),
    make_item("12 June 1964", answer_type=AnswerType.DATE),
    make_item("yes", answer_type=AnswerType.YES_NO),
    make_number(9.0, 11.0, "10 km"),
    make_number(-1e308, 1e308, "0"),
]

PIECES = st.sampled_from(
    [
        *("nan", "inf", "-inf", "1e400", "-1e400", "1e-400", "+.5.3", "...", "--", "''", "``", '"', "٣", "²", "½"),
        *("twenty-one", "a dozen", "n't", "'twas", "the", "<answer>", "<judge>Yes</judge>", "{", "\\", "(?:a+)+$"),
        *("\x00", "\x1b[2J", "\u202e", "\ud800", "\U0010ffff", "中文", "العربية", "ไทย", "👩‍👩‍👧", "e\u0301", "\u2028"),
        *("9" * 400, "1,000", "1,00,0", "10", "Kenya", "yes", "12 June 1964", " ", "\n", "-", ".", ","),
    ]
)
hostile = st.text() | st.lists(PIECES, max_size=12).map("".join) | st.lists(PIECES, max_size=12).map(" ".join)
each_protocol = pytest.mark.parametrize("name", sorted({BENCHMARKS[name].official.name for name in BENCHMARKS}))


def check(score: Score, item: BenchItem) -> None:
    assert score.item_id == item.item_id
    assert (score.value is None) == (score.grade is Grade.UNKNOWN)
    assert score.value is None or 0 <= score.value <= 1
    assert score.needs_judge <= (score.value is None)


@each_protocol
@given(item=st.sampled_from(GOLDS), answer=hostile)
def test_any_answer_is_scored(name: str, item: BenchItem, answer: str) -> None:
    protocol = protocol_named(name)
    check(protocol.score(item, answer), item)
    assert protocol.score(item, answer) == protocol.score(item, answer)
    if protocol.ask is not None:
        protocol.ask(item, answer).messages[0].text.encode("utf-8")
        check(protocol.judged(item, answer, "judge-1"), item)


HUGE = 150_000


@each_protocol
@pytest.mark.parametrize(
    "piece",
    [
        *("9", "1,111", "1e", ".", "' ", "'", '"', "``", "-", "a.b", "n't ", "\n", "]", ".]", "\u0301", "９", "中"),
        *("the ", "one ", "\x00", "👩‍", "<judge>", "{", "can't, ", "answer is ", "12 June "),
    ],
)
def test_huge_answers_take_bounded_time(name: str, piece: str) -> None:
    protocol, answer = protocol_named(name), piece * (HUGE // len(piece) + 1)
    started = time.process_time()
    for item in (GOLDS[0], GOLDS[5]):
        check(protocol.score(item, answer), item)
        if protocol.ask is not None:
            protocol.ask(item, answer)
            protocol.judged(item, answer)
    # A quadratic rule would take minutes; a linear one takes a tenth of this.
    assert time.process_time() - started < 3

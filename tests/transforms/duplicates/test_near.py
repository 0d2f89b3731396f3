import random
import time

from hypothesis import given
from hypothesis import strategies as st

from gog.transforms.duplicates.near import (
    NearDuplicates,
    minhash_bands,
    shingles,
    similarity,
)


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["q one", "q two", ""])), max_size=12))
def test_the_index_agrees_with_comparing_everything(items: list[tuple[str, str]]) -> None:
    index = NearDuplicates()
    kept: list[tuple[str, str, str]] = []
    for number, (picture, question) in enumerate(items):
        expected = next((name for name, other, asked in kept if (other, asked) == (picture, question)), None)
        assert index.add_or_find(str(number), (picture,), question) == expected
        if expected is None:
            kept.append((str(number), picture, question))


def test_an_item_is_near_what_any_of_its_pictures_was_asked() -> None:
    index = NearDuplicates()
    assert index.add_or_find("a", ("one",), "What is this?") is None
    assert index.add_or_find("b", ("two",), "What is that?") is None
    assert index.add_or_find("c", ("one", "two"), "What is that?") == "b"
    assert index.add_or_find("d", ("one", "two"), "Who is that?") is None
    assert index.add_or_find("e", ("one",), "Who is that?") == "d"


def test_image_and_question_both_have_to_be_near() -> None:
    index = NearDuplicates()
    question = "Which country does the flag at the top right of the picture belong to?"
    assert index.add_or_find("a", ("0",), question) is None
    assert index.add_or_find("b", ("0",), question.replace("right", "left")) is None
    assert index.add_or_find("c", ("f",), question) is None
    assert index.add_or_find("d", ("0",), f"  {question.upper()}!") == "a"
    assert index.add_or_find("e", ("0",), "") is None
    assert index.add_or_find("f", ("0",), " ") == "e"


def test_questions_in_scripts_without_spaces_are_told_apart() -> None:
    index = NearDuplicates()
    assert index.add_or_find("a", ("0",), "右上角的国旗属于哪个国家?") is None
    assert index.add_or_find("b", ("0",), "左下角的国旗属于哪个国家?") is None
    assert index.add_or_find("c", ("0",), "右上角的国旗属于哪个国家") == "a"


@given(st.sets(st.integers(0, 10**6), min_size=20, max_size=60))
def test_very_similar_questions_share_a_minhash_band(numbers: set[int]) -> None:
    words = [f"w{number}" for number in sorted(numbers)]
    one, other = shingles(" ".join(words)), shingles(" ".join(words[:-1]))
    if similarity(one, other) >= 0.9:
        assert set(enumerate(minhash_bands(one))) & set(enumerate(minhash_bands(other)))


def test_thousands_of_questions_about_two_pictures_take_no_double_loop() -> None:
    draw = random.Random(1)
    pairs = [(str(n), str(draw.randrange(2))) for n in range(6_000)]
    index = NearDuplicates()
    started = time.process_time()
    assert sum(index.add_or_find(name, (value,), f"What is number {name}?") is not None for name, value in pairs) == 0
    # A comparison of all pairs of a picture would take minutes.
    assert time.process_time() - started < 15


def test_among_thousands_of_questions_about_a_picture_the_same_words_are_found() -> None:
    index = NearDuplicates()
    for number in range(2000):
        assert index.add_or_find(str(number), ("board",), f"What is number {number}?") is None
    assert index.add_or_find("again", ("board",), "what is  NUMBER 1999") == "1999"


def test_near_copies_have_an_answer_in_common() -> None:
    index = NearDuplicates()
    assert index.add_or_find("a", ("tag",), "What does it cost?", ["4.99", "five dollars"]) is None
    assert index.add_or_find("b", ("tag",), "What does it cost?", ["7.50"]) is None
    assert index.add_or_find("c", ("tag",), "what does it COST", ["7.50", "4.00"]) == "b"
    assert index.add_or_find("d", ("tag",), "What does it cost?", ["Five Dollars"]) == "a"
    assert index.add_or_find("e", ("tag",), "What does it cost?", ["+"]) is None
    assert index.add_or_find("f", ("tag",), "What does it cost?", ["-"]) is None
    assert index.add_or_find("g", ("tag",), "What does it cost?") == "a"

"""The vocabulary of the model that learns from nothing."""

from typing import Any

import pytest
from learn.words import NUMBERS, fixed, tokenizer

PROMPT = "<|im_start|>system\nAnswer a question about 1 image.<|im_end|>\n<|im_start|>user\n"
TEXTS = [
    PROMPT
    + f"Question {number}: Which flag is the {place}?<|im_end|>\n"
    + f"The score is 0.{number}7 here: Papua New Guinea, {number}."
    for number, place in enumerate(("largest", "leftmost", "smallest", "topmost") * 3)
]


@pytest.fixture(scope="module")
def made() -> Any:
    return tokenizer(TEXTS, ["Papua New Guinea", "Peru"], words=400)


def test_what_every_text_says_is_one_passage() -> None:
    passages = fixed(TEXTS)
    assert "Answer a question about 1 image." in passages
    assert ": Which flag is the leftmost?" in passages
    assert not any("Question 3" in passage for passage in passages)


def test_texts_come_back_to_the_letter(made: Any) -> None:
    for text in (*TEXTS, "\n\n  Ça va, 北京 [609, 744, 812, 1000] 1234.5</think>\n\n<tool_call>"):
        assert made.decode(made(text)["input_ids"]) == text


def test_passages_names_and_numbers_are_one_token_each(made: Any) -> None:
    for text in ("Answer a question about 1 image.", "Papua New Guinea", "Peru", "0", "7", "64", "1000"):
        assert len(made(text)["input_ids"]) == 1, text
    assert len(set(made.convert_tokens_to_ids(list(NUMBERS)))) == 1001


def test_the_prompt_is_short(made: Any) -> None:
    assert len(made(PROMPT)["input_ids"]) <= 10

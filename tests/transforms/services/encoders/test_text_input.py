"""How texts are read: pooling, prompts and lengths, by a model's files."""

from typing import Any

import numpy as np
import pytest

from gog.transforms.services.encoders.text_input import POOLING_FILE, USUAL_TOKENS, TextInput
from gog.transforms.services.provider import ProviderError

TOKENS = np.array([[[1.0, 0.0], [3.0, 2.0], [9.0, 9.0]], [[2.0, 2.0], [4.0, 0.0], [0.0, 7.0]]])
MASK = np.array([[1, 1, 0], [1, 1, 1]])


def read(**files: Any) -> TextInput:
    return TextInput.read(lambda name: files.get(name.split("/")[0].split(".")[0]), "m")


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({"pooling_mode_mean_tokens": True}, [[2, 1], [2, 3]]),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, [[1, 0], [2, 2]]),
        ({"pooling_mode_lasttoken": True}, [[3, 2], [0, 7]]),
        ({"pooling_mode_max_tokens": True}, [[3, 2], [4, 7]]),
        ({"pooling_mode": "cls"}, [[1, 0], [2, 2]]),
    ],
)
def test_tokens_are_pooled_as_its_file_says(pooling: dict[str, Any], expected: list[list[float]]) -> None:
    told = TextInput.read(lambda name: pooling if name == POOLING_FILE else None, "m")
    assert told.pooled(TOKENS, MASK).tolist() == expected


def test_prompts_and_lengths() -> None:
    told = read(
        config_sentence_transformers={"prompts": {"query": "q: ", "document": "d: "}},
        sentence_bert_config={"max_seq_length": 256},
        tokenizer_config={"model_max_length": 512},
    )
    assert (told.prompted("x", asks=True), told.prompted("x", asks=False), told.tokens) == ("q: x", "d: x", 256)
    assert read(tokenizer_config={"model_max_length": 77}).tokens == 77
    assert read(tokenizer_config={"model_max_length": 1e30}).tokens == USUAL_TOKENS
    assert read() == TextInput()


@pytest.mark.parametrize(
    "pooling",
    [{}, {"pooling_mode": "attention"}, {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}],
)
def test_a_pooling_that_is_not_known_is_refused(pooling: dict[str, Any]) -> None:
    with pytest.raises(ProviderError, match="asks for the pooling"):
        TextInput.read(lambda name: pooling if name == POOLING_FILE else None, "m")


@pytest.mark.parametrize("files", [{"sentence_bert_config": {"max_seq_length": "x"}}, {"tokenizer_config": [1]}])
def test_files_that_cannot_be_read_are_told(files: dict[str, Any]) -> None:
    with pytest.raises(ProviderError, match="cannot be read"):
        read(**files)

"""Cross-encoders: a small ONNX file made here, and a tiny BERT of random weights."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from tiny_encoders import WORDS, cross_encoder, text_encoder

from gog.schemas import FailureClass
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.provider import ProviderError
from gog.transforms.services.search.cross_encoder import CrossEncoder, open_cross_encoder

TEXTS = ["bread", "a tower and a spire", "one tower"]


@pytest.mark.parametrize("scores", [1, 2])
def test_the_texts_that_fit_score_higher(tmp_path: Path, scores: int) -> None:
    model = open_cross_encoder(f"onnx:{cross_encoder(tmp_path / 'm', scores=scores)}")
    assert asyncio.run(model.scores("cat", TEXTS)) == [0.0, 2.0, 1.0]
    assert asyncio.run(model.scores("tower", TEXTS * 9)) == [1.0, 3.0, 2.0] * 9, "both are read; batches do not mix"


def test_the_id_changes_with_the_weights_and_the_tokenizer(tmp_path: Path) -> None:
    first, second = (cross_encoder(tmp_path / str(scores), scores=scores) for scores in (1, 2))
    ids = {open_cross_encoder(f"onnx:{path}").id for path in (first, second)}
    other = tmp_path / "third" / "model.onnx"
    cross_encoder(other.parent)
    tokens = json.loads((other.parent / "tokenizer.json").read_text())
    tokens["normalizer"] = None
    (other.parent / "tokenizer.json").write_text(json.dumps(tokens))
    assert len(ids | {open_cross_encoder(f"onnx:{other}").id}) == 3


def bert(folder: Path, *, labels: int = 1, head: bool = True) -> Path:
    import torch
    from transformers import AutoModel, AutoModelForSequenceClassification, BertConfig, BertTokenizerFast

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    places = {"vocab_size": len(WORDS) + 3, "max_position_embeddings": 12}
    config = BertConfig(**sizes, **places, num_labels=labels)
    (AutoModelForSequenceClassification if head else AutoModel).from_config(config).save_pretrained(folder)
    (folder / "words").write_text("\n".join([*WORDS, "[CLS]", "[SEP]", "[MASK]"]))
    BertTokenizerFast(str(folder / "words")).save_pretrained(folder)
    return folder


def test_a_classifier_of_transformers_scores_as_it_does_by_itself(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = bert(tmp_path / "bert", labels=2)
    model = open_cross_encoder(f"transformers:{folder}")
    found = asyncio.run(model.scores("cat", [*TEXTS, "bread " * 99]))
    tokens = AutoTokenizer.from_pretrained(folder)("cat", "one tower", return_tensors="pt")
    with torch.inference_mode():
        low, high = AutoModelForSequenceClassification.from_pretrained(folder)(**tokens).logits[0].tolist()
    assert found[2] == pytest.approx(high - low, abs=1e-5)
    assert len(set(found)) == 4
    assert model.id.startswith("transformers:bert@")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: f"transformers:{bert(path, head=False)}", "it was not trained to score pairs: classifier"),
        (lambda path: f"transformers:{bert(path, labels=3)}", "numbers of the shape (1, 3)"),
        (lambda path: f"onnx:{text_encoder(path)}", "for a pair: a score, or two"),
        (lambda path: f"onnx:{path / 'none.onnx'}", "there is no such file"),
        (lambda path: "serper:", "no address of a cross-encoder"),
    ],
)
def test_what_is_none_is_refused_in_a_line(tmp_path: Path, make: "object", said: str) -> None:
    assert callable(make)
    address = make(tmp_path / "m")
    with pytest.raises(ProviderError) as caught:
        open_cross_encoder(address)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rows", [np.zeros((2, 3)), np.full((2, 1), np.nan), np.zeros((1, 1))])
def test_numbers_that_are_no_scores_are_a_failure(rows: np.ndarray) -> None:
    with pytest.raises(ServiceError) as caught:
        asyncio.run(CrossEncoder("m", lambda pairs: rows).scores("q", ["a", "b"]))
    assert caught.value.failure is FailureClass.MALFORMED

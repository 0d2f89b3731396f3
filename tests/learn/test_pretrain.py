"""What the base model is taught, and that it learns."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from learn import pretrain as pretraining
from learn.model import make_model
from learn.pretrain import SEED, Reader, batches, lesson, loss_of, make_processor, pretrain
from learn.words import NUMBERS, tokenizer

from gog.transforms.atlas.facts import by_code, members, partitions
from gog.transforms.atlas.scenes import compose_scene

NAMES = sorted({country.name for country in by_code().values()})


@pytest.fixture(scope="module")
def reader() -> Reader:
    words = {word for index in range(8) for word in lesson(index, NAMES).text.split()}
    return Reader(make_processor(tokenizer(sorted(words), NAMES, words=500)))


def test_a_lesson_is_decided_by_its_number() -> None:
    assert lesson(5, NAMES) == lesson(5, NAMES)
    assert lesson(5, NAMES).text != lesson(6, NAMES).text


def test_what_is_learnt_is_boxes_the_count_and_what_was_read() -> None:
    one = lesson(3, NAMES)
    learnt = [one.text[first:last] for first, last in one.learnt]
    count, boxes = learnt[0], learnt[1:-2]
    assert len([text for text in one.text.split("\n") if text.startswith("flag: [")]) <= len(boxes)
    assert count.strip().isalpha()
    assert all(len(box.split(", ")) == 4 for box in boxes)
    assert {name.strip() for name in learnt[-2:]} <= {name for name in NAMES if f"Flag of {name}" in one.text}


def test_flags_of_held_out_countries_are_never_drawn() -> None:
    taught = {country.code for part in partitions(False) for country in members(part)}
    assert all(code in taught for index in range(30) for code, _ in compose_scene("gaze", SEED, index).boxes)


def test_labels_are_the_tokens_of_what_is_learnt(reader: Reader) -> None:
    batch = reader.batch([0, 1, 2])
    for row, index in enumerate((0, 1, 2)):
        one = lesson(index, reader.names)
        wanted = "".join(one.text[first:last] for first, last in one.learnt)
        ids = batch["labels"][row]
        assert reader.processor.tokenizer.decode(ids[ids >= 0]) == wanted
        assert (batch["input_ids"][row][ids >= 0] == ids[ids >= 0]).all()


def test_some_steps_lower_the_loss(reader: Reader) -> None:
    import torch

    torch.manual_seed(0)
    model = make_model(reader.processor.tokenizer)
    numbers = reader.processor.tokenizer.convert_tokens_to_ids(list(NUMBERS))
    adam = torch.optim.AdamW(model.parameters(), lr=2e-3)
    batch: dict[str, Any] = reader.batch([0, 1])
    losses = []
    for _ in range(12):
        loss, right = loss_of(model, batch, numbers)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 3
    assert 0 <= right["within_32"] <= 1


def test_numbers_that_are_near_begin_alike(reader: Reader) -> None:
    import torch

    tokenizer = reader.processor.tokenizer
    weight = make_model(tokenizer).get_input_embeddings().weight.detach()
    a, b, c = (weight[tokenizer.convert_tokens_to_ids(number)] for number in ("500", "510", "900"))
    assert torch.cosine_similarity(a, b, dim=0) > 0.95 > torch.cosine_similarity(a, c, dim=0) + 0.3


def test_the_processor_is_of_the_family(reader: Reader) -> None:
    tiny_models.register()
    assert type(reader.processor).__name__ == "TinyQwen3VLProcessor"


def test_stopped_and_gone_on_with_it_is_the_same_training(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(Exception):
        pass

    def stopping(*arguments: Any) -> Any:
        for number, batch in enumerate(batches(*arguments)):
            if number == 3:
                raise Stop
            yield batch

    monkeypatch.setattr(pretraining, "BATCH", 2)
    pretrain(reader.processor, tmp_path / "whole", 10, save_every=2)
    with monkeypatch.context() as stopped:
        stopped.setattr(pretraining, "batches", stopping)
        with pytest.raises(Stop):
            pretrain(reader.processor, tmp_path / "twice", 10, save_every=2)
    assert not (tmp_path / "twice" / "model").exists()
    pretrain(reader.processor, tmp_path / "twice", 10, save_every=2)
    import torch
    from safetensors.torch import load_file

    one, other = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("whole", "twice"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    curves = [(tmp_path / name / "curve.jsonl").read_text().splitlines() for name in ("whole", "twice")]
    assert [json.loads(line)["scenes"] for line in curves[0]] == [json.loads(line)["scenes"] for line in curves[1]]
    assert not list((tmp_path / "twice").glob("progress*"))

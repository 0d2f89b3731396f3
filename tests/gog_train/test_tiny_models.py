"""The tiny models themselves: saved, loaded by the auto classes, and run over text with an image."""

from pathlib import Path

import pytest
import tiny_models
from PIL import Image

from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.dialect.backbones.family import SPECIAL_TOKENS


def test_the_auto_classes_load_a_saved_one(backbone: str, checkpoints: dict[str, Path]) -> None:
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor = AutoProcessor.from_pretrained(checkpoints[backbone])
    processor.chat_template = BACKBONES[backbone].template(thinking=True).text
    image = Image.new("RGB", (90, 60), (200, 30, 30))
    content = [{"type": "image", "image": image}, {"type": "text", "text": "What is it?"}]
    messages = [{"role": "user", "content": content}]
    batch = processor.apply_chat_template([messages], tokenize=True, return_dict=True, return_tensors="pt")
    loaded = AutoModelForImageTextToText.from_pretrained(checkpoints[backbone])
    with torch.no_grad():
        logits = loaded(**batch).logits
        again = tiny_models.model(backbone)(**batch).logits
    assert logits.shape == (1, batch["input_ids"].shape[1], len(processor.tokenizer))
    assert torch.equal(logits, again), "the seed decides the weights"
    batch["pixel_values"] = -batch["pixel_values"]
    with torch.no_grad():
        assert not torch.allclose(loaded(**batch).logits, logits), "the image matters"


@pytest.mark.parametrize("without", [(), ("<|im_end|>",)])
def test_the_tokenizer_has_the_special_tokens_but_those_left_out(without: tuple[str, ...]) -> None:
    tokens = tiny_models.tokenizer(without)
    assert {token for token in SPECIAL_TOKENS if len(tokens.tokenize(token)) != 1} == set(without)
    text = "Où est le drapeau 🇱🇮? <tool_call>{}</tool_call>"
    assert tokens.decode(tokens(text)["input_ids"]) == text

"""Models of transformers as encoders: a SigLIP, a BERT and a ViT, tiny and of random weights."""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_encoders import PREPROCESSING, WORDS

from gog.transforms.services.encoders.encoder import Encoder
from gog.transforms.services.provider import Opening, ProviderError
from gog.transforms.services.providers import ENCODERS, open_service

SIZES = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
VISION = SIZES | {"image_size": 32, "patch_size": 16}
TEXT = SIZES | {"vocab_size": len(WORDS), "max_position_embeddings": 12, "pad_token_id": 0}
PICTURES = [Image.new("RGB", (50, 40), colour) for colour in ((250, 10, 10), (10, 10, 250))]


def opened(folder: Path) -> Encoder:
    return open_service(ENCODERS, Opening(f"transformers:{folder}"))


def saved(folder: Path, config: Any, *, text: bool = False, pictures: bool = False) -> Path:
    import torch
    from transformers import AutoModel, BertTokenizerFast

    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder)
    if text:
        (folder / "words").write_text("\n".join([*WORDS, "[CLS]", "[SEP]", "[MASK]"]))
        BertTokenizerFast(str(folder / "words")).save_pretrained(folder)
    if pictures:
        (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSING))
    return folder


def test_a_model_of_both_gives_what_its_towers_give(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModel, SiglipConfig

    words = TEXT | {"vocab_size": len(WORDS) + 3, "projection_size": 16}
    config = SiglipConfig(text_config=words, vision_config=VISION)
    folder = saved(tmp_path / "siglip", config, text=True, pictures=True)
    encoder = opened(folder)
    assert (encoder.sees, encoder.reads) == (True, True)

    async def go() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        asked = await encoder.texts(["cat", "the tower and the bread " * 9], asks=True)
        return await encoder.pictures(PICTURES), asked, await encoder.texts(["cat"], asks=True)

    seen, asked, alone = asyncio.run(go())
    assert seen.shape == asked.shape == (2, 16)
    assert np.allclose(asked[0], alone[0], atol=1e-5), "a text is padded to the length that it was trained with"
    pixels = (np.stack([np.asarray(one.resize((32, 32)), np.float32) for one in PICTURES]) / 255 - 0.5) / 0.25
    with torch.inference_mode():
        towers = AutoModel.from_pretrained(folder)
        expected = towers.get_image_features(pixel_values=torch.from_numpy(pixels.transpose(0, 3, 1, 2)))
    rows = expected.pooler_output.numpy()
    assert np.allclose(seen, rows / np.linalg.norm(rows, axis=1, keepdims=True), atol=1e-5)


def test_a_model_of_texts_is_pooled_as_its_folder_says(tmp_path: Path) -> None:
    from transformers import BertConfig

    folder = saved(tmp_path / "bert", BertConfig(**TEXT | {"vocab_size": len(WORDS) + 3}), text=True)
    with pytest.raises(ProviderError, match="1_Pooling"):
        opened(folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    encoder = opened(folder)
    assert (encoder.sees, encoder.reads) == (False, True)
    rows = asyncio.run(encoder.texts(["cat", "cat", "bread " * 99], asks=False))
    assert np.allclose(rows[0], rows[1], atol=1e-6)
    assert rows.shape == (3, 16)


def test_a_model_of_pictures_without_a_trained_pooler_gives_its_first_token(tmp_path: Path) -> None:
    import torch
    from transformers import ViTConfig, ViTForImageClassification, ViTModel

    torch.manual_seed(0)
    ViTForImageClassification(ViTConfig(**VISION)).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(PREPROCESSING))
    rows = asyncio.run(opened(tmp_path).pictures(PICTURES))
    pixels = (np.stack([np.asarray(one.resize((32, 32)), np.float32) for one in PICTURES]) / 255 - 0.5) / 0.25
    with torch.inference_mode():
        bare = ViTModel.from_pretrained(tmp_path, add_pooling_layer=False)
        first = bare(torch.from_numpy(pixels.transpose(0, 3, 1, 2))).last_hidden_state[:, 0].numpy()
    assert np.allclose(rows, first / np.linalg.norm(first, axis=1, keepdims=True), atol=1e-5)


def test_weights_are_part_of_the_id_and_pickles_are_not_loaded(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModel, ViTConfig

    one = saved(tmp_path / "a" / "vit", ViTConfig(**VISION), pictures=True)
    other = saved(tmp_path / "b" / "vit", ViTConfig(**VISION | {"hidden_size": 32}), pictures=True)
    assert opened(one).id != opened(other).id
    model = AutoModel.from_pretrained(one)
    (one / "model.safetensors").unlink()
    torch.save(model.state_dict(), one / "pytorch_model.bin")
    with pytest.raises(ProviderError, match="cannot be loaded"):
        opened(one)


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match=r"no config\.json"):
        opened(tmp_path)

"""ONNX files as encoders: by the config beside them, and said to be none where it is not there."""

import asyncio
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_encoders import picture_encoder, text_encoder

from gog.transforms.services.encoders.encoder import Encoder
from gog.transforms.services.provider import Opening, ProviderError
from gog.transforms.services.providers import ENCODERS, open_service


def opened(path: Path) -> Encoder:
    return open_service(ENCODERS, Opening(f"onnx:{path}"))


def test_pictures_become_vectors_by_the_config_of_their_model(tmp_path: Path) -> None:
    encoder = opened(picture_encoder(tmp_path))
    assert (encoder.sees, encoder.reads, encoder.precision) == (True, False, "float32")
    halves = Image.new("RGB", (64, 128), (255, 0, 0))
    halves.paste((0, 0, 255), (0, 64, 64, 128))
    (vector,) = asyncio.run(encoder.pictures([halves]))
    values = (np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1]]) - 0.5) / 0.25
    assert np.allclose(vector, values.ravel() / np.linalg.norm(values), atol=5e-3)


def test_many_pictures_at_once_are_what_each_is_alone(tmp_path: Path) -> None:
    encoder = opened(picture_encoder(tmp_path))
    pictures = [Image.new("RGB", (30 + n, 40), (n * 6, 255 - n * 6, 90)) for n in range(40)]

    async def both() -> tuple[np.ndarray, list[np.ndarray]]:
        together = await encoder.pictures(pictures)
        return together, [(await encoder.pictures([one]))[0] for one in pictures]

    together, alone = asyncio.run(both())
    assert np.allclose(together, np.stack(alone), atol=1e-6)


def test_texts_are_read_behind_their_prompts_and_pooled(tmp_path: Path) -> None:
    encoder = opened(text_encoder(tmp_path))
    assert (encoder.sees, encoder.reads) == (False, True)

    async def go() -> tuple[np.ndarray, np.ndarray]:
        asked = await encoder.texts(["a cat"], asks=True)
        return asked, await encoder.texts(
            ["The FELINE", "the hound and the dog, and the cat", "tower " * 900], asks=False
        )

    asked, found = asyncio.run(go())
    likeness = (found @ asked[0]).tolist()
    assert likeness[0] > 0.9
    assert likeness[0] > likeness[1] > likeness[2]
    assert np.allclose(np.linalg.norm(found, axis=1), 1)


def test_the_id_is_of_the_weights_and_of_what_is_done_beside_them(tmp_path: Path) -> None:
    one, same, other = (text_encoder(tmp_path / name) for name in ("a", "b", "c"))
    (other.parent / "config_sentence_transformers.json").unlink()
    assert opened(one).id == opened(same).id != opened(other).id


def test_a_model_in_a_folder_of_its_own_has_its_files_above(tmp_path: Path) -> None:
    path = text_encoder(tmp_path)
    (tmp_path / "onnx").mkdir()
    moved = shutil.move(path, tmp_path / "onnx" / "model.onnx")
    assert opened(Path(moved)).reads


@pytest.mark.parametrize(
    ("make", "missing", "says"),
    [
        (picture_encoder, "preprocessor_config.json", "put the preprocessor_config.json of its model beside it"),
        (text_encoder, "tokenizer.json", "there is no tokenizer.json beside it"),
        (text_encoder, "1_Pooling/config.json", "pooling_mode_mean_tokens"),
        (text_encoder, "model.onnx", "there is no such file"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, make: object, missing: str, says: str) -> None:
    path = picture_encoder(tmp_path) if make is picture_encoder else text_encoder(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(ProviderError, match=says):
        opened(path)


@pytest.mark.parametrize("data", [b"", b"no model", b"\x08\x08" * 50])
def test_what_is_no_model_is_said_to_be_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(data)
    with pytest.raises(ProviderError, match="not a model that runs"):
        opened(tmp_path / "model.onnx")


def test_a_config_that_does_not_fit_the_model_is_found_at_once(tmp_path: Path) -> None:
    path = picture_encoder(tmp_path)
    config = (tmp_path / "preprocessor_config.json").read_text().replace("32", "48")
    (tmp_path / "preprocessor_config.json").write_text(config)
    with pytest.raises(ProviderError, match="does not run by its config"):
        opened(path)

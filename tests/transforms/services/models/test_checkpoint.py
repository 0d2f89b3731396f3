"""`checkpoint:` as the engine sees it: what a folder says of itself, its id, how its server is started."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from fakes import MemoryImages

from gog.schemas import Frame, Message
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.services.http import close_client
from gog.transforms.services.models.checkpoint import (
    NOTES,
    CheckpointSettings,
    checkpoint_id,
    checkpoint_model,
    read_notes,
    serve_command,
)
from gog.transforms.services.models.server_process import ChildError
from gog.transforms.services.protocols import ChatRequest
from gog.transforms.services.provider import ProviderError

STANDIN = Path(__file__).parents[3] / "standin_vllm.py"
QUESTION = ChatRequest((Message(role="user", content="hi"),))


def saved(folder: Path, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    backbone = BACKBONES["qwen2.5-vl"]
    pixels = {"min_pixels": backbone.min_pixels, "max_pixels": backbone.max_pixels}
    (folder / NOTES).write_text(
        json.dumps({"backbone": "qwen2.5-vl", "thinking": False, "factor": 28} | pixels | changes)
    )
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An interpreter that starts the stand-in, whatever module it is told to."""
    path = tmp_path / "bin" / "python"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{STANDIN}' \"$@\"\n")
    path.chmod(0o755)
    return path


def test_the_notes_say_how_images_are_resized(tmp_path: Path) -> None:
    settings = read_notes(str(saved(tmp_path / "m", max_pixels=200_000))).model
    assert settings.backbone is not None
    assert settings.backbone.frame is Frame.RESIZED_PIXELS
    assert settings.most_pixels == 200_000


@pytest.mark.parametrize("text", [b"", b"[]", b'{"backbone": "qwen9"}', b"\xff", b'{"backbone": "qwen3-vl"}'])
def test_notes_that_are_none(tmp_path: Path, text: bytes) -> None:
    folder = saved(tmp_path / "m")
    (folder / NOTES).write_bytes(text)
    with pytest.raises(ProviderError, match="save the model again"):
        read_notes(str(folder))
    (folder / NOTES).unlink()
    with pytest.raises(ProviderError, match="name the folder `adapter` or `merged`"):
        read_notes(str(folder))


def test_other_weights_are_another_policy(tmp_path: Path) -> None:
    folder = saved(tmp_path / "gog-7b" / "merged")
    first = checkpoint_id(str(folder))
    assert first.startswith("gog-7b-merged@")
    assert checkpoint_id(str(saved(tmp_path / "elsewhere" / "gog-7b" / "merged"))) == first, "where it is says nothing"
    (folder / "model.safetensors").write_bytes(b"Weights")
    os.utime(folder / "model.safetensors", (1, 1))
    assert checkpoint_id(str(folder)) != first
    (folder / "model.safetensors").write_bytes(b"weights")
    assert checkpoint_id(str(folder)) == first


def test_an_adapters_base_is_part_of_it(tmp_path: Path) -> None:
    base, folder = saved(tmp_path / "base"), saved(tmp_path / "gog-7b" / "adapter")
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base)}))
    first = checkpoint_id(str(folder))
    (base / "model.safetensors").write_bytes(b"others")
    assert checkpoint_id(str(folder)) != first
    for named in ("Qwen/Qwen2.5-VL-7B-Instruct", str(folder), None):
        (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": named}))
        assert checkpoint_id(str(folder)).startswith("gog-7b-adapter@")
    (folder / "adapter_config.json").write_text("[]")
    with pytest.raises(ProviderError, match="no configuration of an adapter"):
        checkpoint_id(str(folder))


def test_the_server_is_started_with_the_first_question(tmp_path: Path, python: Path) -> None:
    folder = str(saved(tmp_path / "m"))
    settings = CheckpointSettings(python=str(python), device="cpu", batch=3, start_s=20)
    model = checkpoint_model(folder, MemoryImages(), read_notes(folder).model, settings, tmp_path / "logs")
    assert not (tmp_path / "logs").exists()

    async def ask() -> Any:
        try:
            return json.loads((await model.complete(QUESTION)).message.text)
        finally:
            await close_client()

    try:
        told = asyncio.run(ask())
    finally:
        model._server().stop()
    port = int(told["arguments"][told["arguments"].index("--port") + 1])
    assert told["arguments"] == serve_command(folder, port, settings, "")[1:]
    assert " ".join(told["arguments"]).startswith(f"-m gog_train.serve --checkpoint {folder} --name {folder}")
    assert " ".join(told["arguments"]).endswith("--device cpu --batch 3")


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    folder = str(saved(tmp_path / "m"))
    settings = CheckpointSettings(python="/no/such/python", start_s=20)
    model = checkpoint_model(folder, MemoryImages(), read_notes(folder).model, settings, tmp_path / "logs")
    with pytest.raises(ChildError, match=r"checkpoint:.* ended with exit code 127.*/no/such/python"):
        asyncio.run(model.complete(QUESTION))

"""The merged model that an adapter of an adapter belongs to: whole, once, whoever comes first."""

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import tiny_models

from gog_train.base import MARK, keep_base
from gog_train.processors import load_processor
from gog_train.sft import SftSettings
from gog_train.stages import adapter, starting_model

QWEN3 = "qwen3-vl"


class Slow:
    """Saves a file, and the one that makes a folder loadable after it."""

    def __init__(self, log: Path) -> None:
        self.log = log

    def save_pretrained(self, folder: Path) -> None:
        import time

        with self.log.open("a") as file:
            file.write("saved\n")
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text("{}")
        time.sleep(0.2)
        (folder / "weights").write_text("all")


def settle(folder: Path, adapter: Path, log: Path) -> str:
    keep_base(Slow(log), Slow(log), adapter, folder)
    return (folder / "weights").read_text()


@pytest.fixture
def adapted(tmp_path: Path) -> Path:
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    return folder


def test_processes_wait_for_the_one_that_writes(adapted: Path, tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        found = pool.starmap(settle, [(tmp_path / "out" / "base", adapted, tmp_path / "log")] * 3)
    assert found == ["all"] * 3
    assert (tmp_path / "log").read_text().count("saved") == 2, "model and processor, once"


def test_what_a_killed_process_left_and_another_adapters_model_are_written_anew(adapted: Path, tmp_path: Path) -> None:
    base, log = tmp_path / "out" / "base", tmp_path / "log"
    base.mkdir(parents=True)
    (base / "config.json").write_text("half a model")
    settle(base, adapted, log)
    assert (base / "weights").is_file()
    first = (base / MARK).read_text()
    (adapted / "adapter_model.safetensors").write_bytes(b"others")
    settle(base, adapted, log)
    assert (base / MARK).read_text() != first
    assert not list(base.parent.glob("*.part"))


@pytest.mark.parametrize("save", ["adapter", "merged"])
def test_a_rank_that_is_not_the_first_has_a_model_that_loads(
    save: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its whole path, from whichever folder it is loaded."""
    from peft import get_peft_model
    from transformers import AutoConfig

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    first = settings_of(tiny_models.checkpoint(QWEN3, Path("model")), "first")
    model = get_peft_model(starting_model(first, None), adapter(first, tiny_backbone()))
    model.save_pretrained("sft")
    load_processor("model").save_pretrained("sft")
    second = settings_of(Path("sft"), "out", save=save)
    name = starting_model(second, load_processor("sft")).name_or_path
    assert name == str(tmp_path / "out" / "base")
    monkeypatch.chdir("/")
    assert AutoConfig.from_pretrained(name).model_type == "qwen3_vl"
    assert model.peft_config["default"].base_model_name_or_path == str(tmp_path / "model")


def settings_of(model: Path, output: str, **changes: Any) -> SftSettings:
    return SftSettings.model_validate({"model": str(model), "export": "e", "output": output} | changes)


def tiny_backbone() -> Any:
    from gog.transforms.dialect.backbones import BACKBONES

    return BACKBONES[QWEN3]

"""Two processes (gloo), killed in the middle of a step and gone on with, end with the weights of an undisturbed run."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from lakes import small_run, source_of
from training import small
from watching import left_by

from gog.pipelines.export.request import ExportRequest
from gog.pipelines.export.write import export_rl
from gog.transforms.atlas.world import atlas_world
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.export.target import Target

QWEN3 = "qwen3-vl"
TESTS = Path(__file__).parents[1]


def launched(stage: str, options: dict[str, Any], folder: Path, kill: int | None = None) -> int:
    """The exit code of two processes that train."""
    path = folder / "options.json"
    path.write_text(json.dumps({key: str(v) if isinstance(v, Path) else v for key, v in options.items()}))
    run = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(TESTS / "ranks.py")]
    words = [sys.executable, *run, stage, str(path), *([str(kill)] if kill is not None else [])]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, timeout=900, check=False, env=environment, cwd=folder)
    assert done.returncode == 0 or kill is not None, done.stderr[-3000:]
    return done.returncode


def adapter_of(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(folder / "adapter" / "adapter_model.safetensors"))


def options_of(stage: str, sft_exports: dict[str, Path], model: Path, folder: Path) -> dict[str, Any]:
    common = {"model": model, "max_steps": 2, "save_every": 1, "keep": 9, "learning_rate": 1e-2, "log_every": 1}
    if stage == "sft":
        rest = {"export": sft_exports[QWEN3], "batch_size": 2, "workers": 0, "evaluate": False}
        return common | rest
    world = atlas_world(folder / "world")
    export = export_rl(source_of(small_run(folder / "lake")), ExportRequest(target=Target("trl", small(QWEN3)))).folder
    rest = {"export": export, "levels": [1, 2], "questions": 2, "rollouts": 2, "epochs": 9, "device_batch_size": 1}
    searches = {"text_search": f"corpus:{world}", "image_search": f"gallery:{world}"}
    return common | rest | searches | {"turn_tokens": 2, "max_tokens": 3000, "resample": 1, "unsettled": "zero"}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_killed_and_gone_on_with_it_ends_as_undisturbed(
    stage: str, sft_exports: dict[str, Path], checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    """It starts from an adapter, whose merged model both processes need, and has relative paths."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    start = AutoModelForImageTextToText.from_pretrained(checkpoints[QWEN3])
    torch.manual_seed(0)
    lora = get_peft_model(start, LoraConfig(r=2, target_modules=BACKBONES[QWEN3].language, init_lora_weights=False))
    lora.save_pretrained(tmp_path / "start")
    tiny_models.processor(QWEN3).save_pretrained(tmp_path / "start")
    options = options_of(stage, sft_exports, Path("start"), tmp_path)
    launched(stage, options | {"output": "whole"}, tmp_path)
    assert launched(stage, options | {"output": "killed"}, tmp_path, kill=1) != 0
    assert (tmp_path / "killed" / "checkpoint-1").is_dir()
    assert not (tmp_path / "killed" / "adapter").exists()
    launched(stage, options | {"output": "killed", "resume": "last"}, tmp_path)
    whole, resumed = adapter_of(tmp_path / "whole"), adapter_of(tmp_path / "killed")
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    left = left_by(tmp_path / "whole")
    assert left == left_by(tmp_path / "killed")
    assert len(left["curves"]) == 2
    if stage == "grpo":
        assert {row["sample_index"] for row in left["trajectories"]} == {0, 1, 2, 3}, "of both processes"
    assert any(bool(weights.any()) for name, weights in whole.items() if "lora_B" in name)

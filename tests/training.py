"""Exports of a real run of the bundled world, small enough that tiny models train on them in seconds."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from runs import run_folder

from gog.pipelines.config.config import Config
from gog.pipelines.export import write
from gog.pipelines.export.request import ExportRequest, SourceRun
from gog.pipelines.lake.lake import Lake
from gog.transforms.dialect.backbones import BACKBONES, Backbone
from gog.transforms.export.target import Target


def module_of(name: str) -> str:
    """Where the backbone stands, as `monkeypatch.setattr` takes it."""
    return f"gog.transforms.dialect.backbones.{re.sub('[^0-9a-z]', '_', name)}.BACKBONE"


def small(name: str) -> Backbone:
    """The backbone with a budget of 4 to 48 visual tokens an image; a test has to put it at `module_of`."""
    backbone = BACKBONES[name]
    return replace(backbone, min_pixels=4 * backbone.factor**2, max_pixels=48 * backbone.factor**2)


def trl_export(config: Config, kind: Literal["sft", "rl"], backbone: Backbone, folder: Path) -> Path:
    """The run's export for TRL, made in a copy in `folder`: nobody writes to a shared one."""
    copy = Lake(folder / "copy").run_folder("run")
    if not copy.exists():
        shutil.copytree(run_folder(config), copy, ignore=shutil.ignore_patterns("lock", "exports"))
    images, target = Lake(Path(config.lake)).images, Target("trl", backbone)
    export = write.export_sft if kind == "sft" else write.export_rl
    return export(SourceRun(copy, images, config.episode), ExportRequest(config.export, target)).folder


def grpo_values(checkpoint: Path, export: Path, world: Path, folder: Path) -> dict[str, Any]:
    """Settings of a short training of reinforcement; `world` has the bundled world's indexes."""
    return {
        "model": str(checkpoint),
        "export": export,
        "output": folder / "out",
        "levels": (1, 2),
        "questions": 2,
        "rollouts": 2,
        "epochs": 2,
        "device_batch_size": 2,
        "turn_tokens": 2,
        "max_tokens": 3000,
        "resample": 0,
        "unsettled": "zero",
        "text_search": f"corpus:{world}",
        "image_search": f"gallery:{world}",
        "learning_rate": 1e-3,
        "log_every": 1,
        "save_every": 1,
    }

"""Tiny checkpoints as a training saves them, and an interpreter that can load them."""

import json
import sys
from pathlib import Path
from typing import Any, Final

import tiny_models
from training import small

from gog.transforms.services.models.checkpoint import NOTES

_START: Final = """\
import runpy, sys
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
import tiny_models
tiny_models.register()
from dataclasses import replace
from gog.transforms.dialect.backbones import qwen2_5_vl, qwen3_vl
for module in (qwen2_5_vl, qwen3_vl):
    square = module.BACKBONE.factor**2
    module.BACKBONE = replace(module.BACKBONE, min_pixels=4 * square, max_pixels=48 * square)
sys.argv = sys.argv[sys.argv.index('-m') + 1 :]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def saved(folder: Path, name: str, **changes: Any) -> Path:
    """A tiny model of random weights with the notes of a training; images become 4 to 48 visual tokens."""
    tiny_models.checkpoint(name, folder, spread=0.3)
    backbone = small(name)
    notes = {"backbone": name, "thinking": False, "min_pixels": backbone.min_pixels}
    (folder / NOTES).write_text(json.dumps(notes | {"max_pixels": backbone.max_pixels} | changes))
    return folder


def interpreter(folder: Path) -> Path:
    """An executable that runs `-m MODULE ...` as Python does, and that knows tiny checkpoints and small backbones."""
    folder.mkdir(parents=True, exist_ok=True)
    start = folder / "start.py"
    start.write_text(_START.format(tests=str(Path(__file__).parent)))
    path = folder / "python"
    path.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{start}' \"$@\"\n")
    path.chmod(0o755)
    return path

"""Runs a module with the small family and its checkpoints known: `python start.py -m gog_train.sft ...`."""

import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import tiny_models
import torch

torch.set_num_threads(1)
tiny_models.register()
sys.argv = sys.argv[sys.argv.index("-m") + 1 :]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)

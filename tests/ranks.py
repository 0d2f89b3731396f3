"""A training of a tiny model as one of several processes: `torchrun ... ranks.py STAGE OPTIONS.json [STEP]`.

STEP is one in which all processes are killed. The policy of GRPO is scripted: every second rollout is right.
"""

import json
import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import tiny_models
from families import FAMILIES
from rolling import answer, scripted
from training import module_of, small

from gog_train import callbacks, episode_trainer, grpo, sft
from gog_train.grpo_settings import GrpoSettings
from gog_train.settings import TrainSettings


def main(stage: str, options: str, kill: str = "") -> int:
    """The stage's exit code."""
    import torch

    torch.set_num_threads(1)
    tiny_models.register()
    for name, backbone in [(name, small(name)) for name in FAMILIES]:
        import_module(module_of(name).rpartition(".")[0]).BACKBONE = backbone  # type: ignore[attr-defined]
    policy: Any = scripted(episode_trainer.EpisodeTrainer)
    policy.script = staticmethod(lambda number, turn: answer("Kenya" if number % 2 else "Uganda"))
    episode_trainer.EpisodeTrainer = policy  # type: ignore[misc]

    def on_step_begin(self: Any, args: Any, state: Any, control: Any, **more: Any) -> None:
        if kill and state.global_step == int(kill):
            os.kill(os.getpid(), signal.SIGKILL)

    callbacks.Progress.on_step_begin = on_step_begin
    values = json.loads(Path(options).read_text("utf-8"))
    kinds: dict[str, tuple[type[TrainSettings], Any]] = {
        "sft": (sft.SftSettings, sft.train),
        "grpo": (GrpoSettings, grpo.train),
    }
    settings, train = kinds[stage]
    return 0 if train(settings.model_validate(values)).finished else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""What the tests over a real vLLM share: exports, and tiny models that are taught to use tools."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest
from real_vllm.environment import BACKBONE, CPU, helped, taught_model
from runs import atlas, shared_run
from training import trl_export


@pytest.fixture(autouse=True)
def _cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers inherit it."""
    for name, value in CPU.items():
        monkeypatch.setenv(name, value)


@dataclass(frozen=True)
class Tuned:
    """What a training of an adapter left."""

    adapter: Path
    merged: Path
    printed: tuple[str, ...]
    """The command that serves the adapter, as it was printed."""


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small run's exports for TRL."""
    run, folder = shared_run(atlas("tiny"), tmp_path_factory), tmp_path_factory.mktemp("exports")
    return {kind: trl_export(run, kind, BACKBONE, folder) for kind in ("sft", "rl")}


@pytest.fixture(scope="session")
def taught(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that gazes three times and answers with a number, or what GOG_TAUGHT names of an earlier time."""
    if made := os.environ.get("GOG_TAUGHT"):
        return Path(made)
    return taught_model(request.getfixturevalue("exports")["rl"], tmp_path_factory.mktemp("taught"))


@pytest.fixture(scope="session")
def tuned(taught: Path, exports: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    """An adapter on it that SFT made in ten large steps, and the merged model."""
    output = tmp_path_factory.mktemp("tuned") / "out"
    settings = {
        "model": taught,
        "export": exports["sft"],
        "output": output,
        "save": "both",
        "max-steps": 10,
        "batch-size": 1,
        "learning-rate": 8e-3,
        "warmup": 0,
        "workers": 0,
        "evaluate": "false",
    }
    done = helped("-m", "gog_train.sft", *(word for name, value in settings.items() for word in (f"--{name}", value)))
    printed = [line.removeprefix("serve it: ") for line in done.stderr.splitlines() if line.startswith("serve it: ")]
    (adapter,) = [command for command in map(shlex.split, printed) if "--enable-lora" in command]
    return Tuned(output / "adapter", output / "merged", tuple(adapter))

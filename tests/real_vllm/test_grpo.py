"""GRPO through a real colocated vLLM: what it is sent, what it says, and whether it follows the training."""

import json
from pathlib import Path

import pytest
from real_vllm.environment import HERE, helped

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(3600)]


def test_vllm_samples_what_the_trainer_would(taught: Path, exports: dict[str, Path], tmp_path: Path) -> None:
    """Image tokens and log-probabilities agree before the first step and after steps that moved the weights."""
    report, output = tmp_path / "report.json", tmp_path / "out"
    settings = {
        "model": taught,
        "export": exports["rl"],
        "output": output,
        "vllm": "colocate",
        "levels": "1,2",
        "questions": 2,
        "rollouts": 4,
        "max-steps": 3,
        "learning-rate": 2e-3,
        "kl": 0,
        "resample": 0,
        "max-tokens": 4096,
        "turn-tokens": 200,
        "context": 8192,
        "unsettled": "zero",
        "log-every": 1,
        "rewards": '{"threes:THREES": 1.0}',
    }
    helped(HERE / "colocated.py", report, *(w for name, value in settings.items() for w in (f"--{name}", value)))
    found = json.loads(report.read_text())
    assert all(prompt["sent"] == [1] * len(prompt["wanted"]) for prompt in found["prompts"])
    assert all(prompt["seen"] == prompt["wanted"] for prompt in found["prompts"])
    assert max(len(prompt["wanted"]) for prompt in found["prompts"]) == 4, "the picture and three crops"
    batches = found["batches"]
    assert len(batches) == 3
    assert max(batch["apart"] for batch in batches) < 1e-4
    assert all(batch["tokens"] > 500 for batch in batches)
    history = json.loads((output / "checkpoint-3" / "trainer_state.json").read_text())["log_history"]
    assert max(entry.get("grad_norm", 0) for entry in history) > 0, "the weights moved"
    assert (output / "adapter" / "gog.json").is_file()
    print("agreement", [(batch["tokens"], batch["apart"]) for batch in batches])

"""What `make learn` runs again after it was stopped."""

from pathlib import Path

import pytest
from learn import family
from learn.run import Sizes, Work


@pytest.mark.parametrize(("left", "going_on"), [("", False), ("checkpoint-40", True), ("model", False)])
def test_a_training_that_was_stopped_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str, going_on: bool
) -> None:
    monkeypatch.setattr(family, "install", lambda folder: None)  # it changes what this process imports
    work = Work(tmp_path, Sizes(seeds=1, scenes=1, times=1, questions=1, sft_epochs=1, grpo_steps=1, rl_seeds=1))
    (tmp_path / "sft-0" / left).mkdir(parents=True)
    called: list[tuple[str, ...]] = []
    monkeypatch.setattr(Work, "_call", lambda self, *command: called.append(command))
    assert work.sft("SFT", "teach", 0) == tmp_path / "sft-0" / "model"
    (command,) = called
    assert command[1:3] == ("-m", "gog_train.sft")
    assert ("--resume" in command) is going_on

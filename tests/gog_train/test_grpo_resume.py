"""A GRPO training that goes on draws the rows, in the place of dull ones, that it would have drawn."""

from pathlib import Path
from typing import Any

import pytest
from rolling import answer, make_trainer, seed, services

from gog.transforms.dialect.backbones import BACKBONES
from gog_train import episode_trainer, sampling

SEEDS = [seed(number, width=60, height=60) for number in range(6)]


@pytest.mark.usefixtures("_small")
def test_what_is_drawn_depends_on_the_seed_and_the_step_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[str, list[int]]] = []

    def recorded(levels: Any, like: Any, count: int, key: str) -> list[int]:
        drawn.append((key, sampling.draw(levels, like, count, key)))
        return drawn[-1][1]

    monkeypatch.setattr(episode_trainer, "draw", recorded)

    def run(folder: Path, resume: Path | None = None) -> list[tuple[str, list[int]]]:
        """Every rollout is right, so that every group is dull."""
        drawn.clear()
        with services(folder / "store") as made:
            trainer = make_trainer(
                BACKBONES["qwen3-vl"],
                made,
                folder,
                script=lambda number, turn: answer("Nairobi"),
                seeds=SEEDS,
                setup={"resample": 1},
                max_steps=2,
                save_strategy="steps",
                save_steps=1,
                per_device_train_batch_size=2,
                gradient_accumulation_steps=2,
                steps_per_generation=2,
                num_generations=2,
            )
            trainer.train(resume_from_checkpoint=str(resume) if resume else None)
            assert trainer.state.log_history[-2]["groups/with_signal"] == 0
            assert trainer.state.log_history[-2]["grad_norm"] == 0, "what is dull is out of the loss, KL included"
        return list(drawn)

    whole = run(tmp_path / "whole")
    part = run(tmp_path / "part", tmp_path / "whole" / "out" / "checkpoint-1")
    assert len(whole) == 2
    assert part == whole[1:]

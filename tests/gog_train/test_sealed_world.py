"""Trainings over a sealed world: eight processes at once, without a network."""

import json
import os
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from calling import tree
from fakes import answered, called
from sealed import sealed
from sealed_trainer import opened, play

from gog.transforms.services.loop import run_on_loop
from gog_train.environment import Ending
from gog_train.grpo_settings import GrpoSettings
from gog_train.rewards.scoring import metrics_of, score
from gog_train.rewards.terms import RewardSettings

pytest.importorskip("onnxruntime")
CHILD = Path(__file__).parents[1] / "sealed_trainer.py"


@pytest.mark.slow
def test_eight_processes_read_one_world_at_once_and_none_writes_it(tmp_path: Path) -> None:
    sealed(tmp_path)
    world, before = tmp_path / "world", tree(tmp_path / "world")
    for path in (world, *world.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    command = [sys.executable, str(CHILD), str(world)]
    how: dict[str, Any] = {"env": os.environ | {"PYTHONPATH": str(CHILD.parent)}, "stdout": PIPE, "stderr": PIPE}
    children = [subprocess.Popen([*command, str(tmp_path / f"calls{number}")], **how) for number in range(8)]
    outcomes: list[dict[str, Any]] = []
    for child in children:
        out, err = child.communicate(timeout=240)
        assert child.returncode == 0, err.decode()[-3000:]
        outcomes.append(json.loads(out))
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert outcomes[0]["endings"] == ["answered", "missed", "missed", "missed"]
    told = "\n".join(outcomes[0]["told"])
    for found in (
        "As it was",
        "Cats",
        "https://pets/red",
        "A whole page.",
        "A tower of 1890.",
        "look shows the picture",
    ):
        assert found in told
    assert outcomes[0]["calls"] == [
        "image_search answered",
        "page answered",
        "page not_found",
        "page store_miss",
        "text_search answered",
        "tool answered",
        "tool store_miss",
    ]
    assert tree(world) == before


def test_a_miss_is_masked_and_counted_apart_from_failures(tmp_path: Path) -> None:
    sealed(tmp_path, indexes=False)
    services = opened(tmp_path / "world", tmp_path / "calls")
    missed = play(services, [called("text_search", {"query": "anything"})])
    right = play(services, [called("text_search", {"query": "known"}), answered("Nairobi")])
    damaged = tmp_path / "world/answers.jsonl"
    damaged.write_bytes(damaged.read_bytes().replace(b"As it was", b"As it\x00was"))
    failed = play(opened(tmp_path / "world", tmp_path / "calls"), [called("text_search", {"query": "known"})])
    rollouts = [missed, right, failed]
    assert [rollout.ending for rollout in rollouts] == [Ending.MISSED, Ending.ANSWERED, Ending.TOOL_FAILED]

    async def scored() -> list[Any]:
        return [await score(rollout, None, RewardSettings()) for rollout in rollouts]

    found = run_on_loop(scored())
    assert [(one.masked, one.reward is None, one.right) for one in found] == [
        ("miss", True, None),
        ("", False, True),
        ("tool", True, None),
    ]
    metrics = metrics_of(found, rollouts)
    assert metrics["masked/miss"] == metrics["masked/tool"] == metrics["ended/missed"] == pytest.approx(1 / 3)
    services.close()


def test_a_world_stands_in_the_place_of_searches_and_stores() -> None:
    common = {"model": "m", "export": "e", "output": "o", "world": "w"}
    assert GrpoSettings.model_validate(common).world == Path("w")
    for beside in ({"text_search": "corpus:i"}, {"store": "s", "store_mode": "replay"}, {"pages": "local:"}):
        with pytest.raises(ValueError, match=f"leave out .*{next(iter(beside))}"):
            GrpoSettings.model_validate(common | beside)

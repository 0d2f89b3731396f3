"""Trainings over a sealed world: eight processes at once, without a network."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from calling import tree
from fakes import MemoryImages, answered, called, picture
from sealed import sealed
from sealed_trainer import opened, play
from tiny_encoders import encoder_of_both

from gog.transforms.services.loop import run_on_loop
from gog.transforms.services.search.corpus import Corpus
from gog.transforms.services.search.gallery import Gallery
from gog_train.environment import Ending
from gog_train.grpo_settings import GrpoSettings
from gog_train.rewards.scoring import metrics_of, score
from gog_train.rewards.terms import RewardSettings
from gog_train.settings import TrainingError

pytest.importorskip("onnxruntime")
CHILD = Path(__file__).parents[1] / "sealed_trainer.py"


def children(folder: Path, count: int) -> list[dict[str, Any]]:
    """What trainers saw of a world, all at once."""
    command = [sys.executable, str(CHILD), str(folder / "world")]
    how: dict[str, Any] = {"env": os.environ | {"PYTHONPATH": str(CHILD.parent)}, "stdout": PIPE, "stderr": PIPE}
    started = [subprocess.Popen([*command, str(folder / f"calls{number}")], **how) for number in range(count)]
    outcomes: list[dict[str, Any]] = []
    for child in started:
        out, err = child.communicate(timeout=240)
        assert child.returncode == 0, err.decode()[-3000:]
        outcomes.append(json.loads(out))
    return outcomes


@pytest.mark.slow
def test_eight_processes_read_one_world_at_once_and_none_writes_it(tmp_path: Path) -> None:
    sealed(tmp_path)
    world, before = tmp_path / "world", tree(tmp_path / "world")
    for path in (world, *world.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    outcomes = children(tmp_path, 8)
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


@pytest.mark.slow
def test_a_model_of_transformers_comes_along_once_and_asks_nobody(tmp_path: Path) -> None:
    """It finds in the world what it found before, without its folder and without a network."""
    both = f"transformers:{encoder_of_both(tmp_path / 'siglip')}"
    assert sealed(tmp_path, both=both).by_name == ()
    pages, images = Corpus.open(tmp_path / "index/corpus"), MemoryImages()
    pictures, whole = Gallery.open(tmp_path / "index/gallery", images), images.put(picture(), "png")
    before = [*run_on_loop(pages.search("feline", 5)), *run_on_loop(pictures.search(whole, 5))]
    assert len(list((tmp_path / "world").rglob("model.safetensors"))) == 1
    for gone in ("siglip", "index"):
        shutil.rmtree(tmp_path / gone)
    (outcome,) = children(tmp_path, 1)
    assert outcome["endings"] == ["answered", "missed", "missed", "missed"]
    lines = re.findall(r"^\[\d+\] (.+) \| score (.+) \| (.+)$", "\n".join(outcome["told"]), re.MULTILINE)
    assert lines[1:5] == [(hit.title, f"{hit.score:.2f}", hit.url) for hit in before]


@pytest.mark.parametrize("kind", ["transformers", "onnx"])
def test_an_encoder_that_is_nowhere_is_told_before_the_first_step(kind: str, tmp_path: Path) -> None:
    """One that a world names, and has not: this machine has none of that name, or its file was left behind."""
    sealed(tmp_path)
    path = tmp_path / "world/index/corpus/index.json"
    head = json.loads(path.read_text()) | {"encoder": f"{kind}:acme/none"}
    path.write_text(json.dumps(head))
    world = tmp_path / "world/world.json"
    told = json.loads(world.read_text())
    told["files"]["index/corpus/index.json"] = path.stat().st_size
    world.write_text(json.dumps(told))
    with pytest.raises(TrainingError, match=rf"^text_search: .*{kind}:acme/none: [^\n]+$"):
        opened(tmp_path / "world", tmp_path / "calls")


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

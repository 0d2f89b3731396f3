"""The bench of training at tiny size: both stages run, and say what they took."""

from pathlib import Path

import pytest
from bench.bench_training import LARGE, TINY, measure, save_model
from training import trl_export

from gog.pipelines.config.config import Config
from gog.transforms.dialect.backbones import Backbone
from gog_train.memory import shape_of
from gog_train.sft import SftSettings


def test_both_stages_are_measured(small_backbone: Backbone, tiny: Config, tmp_path: Path) -> None:
    name = small_backbone.name
    for kind in ("sft", "rl"):
        trl_export(tiny, kind, small_backbone, tmp_path)
    save_model(tmp_path / "model", TINY, name)
    for stage, steps in (("sft", 2), ("grpo", 1)):
        found = measure(tmp_path, TINY, name, stage)
        assert (found["stage"], found["device"], found["steps"]) == (stage, "CPU", steps)
        assert found["tokens"] > 500
        assert found["tokens_per_second"] == pytest.approx(found["tokens"] / found["seconds"], rel=0.01)
        assert 0 < found["estimated_bytes"] < found["peak_bytes"]


def test_the_large_model_has_about_100_million_weights(backbone: str, tmp_path: Path) -> None:
    save_model(tmp_path / "model", LARGE, backbone)
    settings = SftSettings.model_validate({"model": str(tmp_path / "model"), "export": "e", "output": "o"})
    assert 90e6 < shape_of(settings).parameters < 125e6

"""A whole run whose teacher is a real vLLM: several pictures a request, tools, seeds, a budget; then label and eval."""

from pathlib import Path
from typing import Any

import pytest
from real_vllm.environment import EXECUTABLE, SERVED
from runs import atlas, calls, check_nothing_lost, number, write_config

from gog.pipelines.cli.main import call
from gog.pipelines.config.config import Config, load_config
from gog.pipelines.steps.run import run
from gog.transforms.evaluate.results import Results

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(3600)]
SEEDS = 8


def config_at(folder: Path, model: Path, **changes: Any) -> Config:
    """As the command line reads it of the file `run.yaml` of the folder."""
    changes |= {"vllm": {"executable": EXECUTABLE, "args": SERVED}, "screen": {"passes": 2}, "label": {"k": 2}}
    changes |= {"lake": folder / "lake", "teacher": f"vllm:{model}", "count": SEEDS, "shard_size": SEEDS}
    return load_config(write_config(atlas(run="r", **changes), folder / "run.yaml"))


def test_a_run_stops_at_its_budget_goes_on_and_is_labelled_and_evaluated(
    taught: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stopped = run(config_at(tmp_path, taught, budget={"max_calls": 20}))
    assert stopped.stopped == "max_calls: 20 of 20 calls made"

    config = config_at(tmp_path, taught)
    assert run(config).stopped == ""
    check_nothing_lost(config, rows=SEEDS)
    by_teacher = f"FROM events WHERE provider LIKE '{taught}%'"
    assert number(config, f"SELECT count(*) {by_teacher}") > 20
    assert number(config, f"SELECT count(*) {by_teacher} AND failure <> 'budget'") == 0
    assert number(config, "SELECT max(json_array_length(images)) FROM trajectories") >= 3, "the picture and its crops"
    assert number(config, "SELECT count(*) FROM evidence WHERE tool = 'gaze' AND json_array_length(hits) > 0") > 0

    path, policy = tmp_path / "run.yaml", f"vllm:{taught}"
    # (1 where none of the tiny model's answers is right, so that nothing is labelled: it guesses.)
    assert call(["label", "--config", str(path), "--policy", policy]) in (0, 1)
    assert number(config, f"SELECT count(*) {by_teacher} AND purpose = 'label'") >= SEEDS
    evaluate = ["eval", "--config", str(path), "--bench", "atlas", "--paradigm", "policy", "--limit", "4"]
    capfd.readouterr()
    assert call([*evaluate, "--policy", policy, "--json"]) == 0
    results = Results.model_validate_json(capfd.readouterr().out)
    (answered,) = results.benchmarks["atlas"].paradigms.values()
    assert (answered.items, answered.unsettled) == (4, 0)
    assert len(list((tmp_path / "lake" / "logs").iterdir())) == 1, "one server for all of it"
    made, _ = calls(config)
    assert call([*evaluate, "--policy", policy, "--json"]) == 0
    assert calls(config)[0] == made, "what was answered is not asked again"

"""`gog train`: what it prints, when it starts nothing, and a real training of a tiny model."""

import json
from pathlib import Path

import pytest
import tiny_models
from calling import Gog
from checkpoints import interpreter
from runs import atlas, shared_run
from training import small, trl_export

REPORT = {
    "stage": "sft",
    "checks": [
        {"name": "versions", "state": "ok", "found": "trl 1.16.0", "advice": ""},
        {"name": "memory", "state": "warning", "found": "about 90 GB", "advice": "lower max_length"},
    ],
    "processes": 2,
    "fit": True,
    "facts": {},
}
PROBLEM = {"name": "export", "state": "problem", "found": "there is none", "advice": "export it"}


def standin(folder: Path, report: object) -> str:
    """An interpreter whose check says this, and that trains nothing."""
    (folder / "report.json").write_text(json.dumps(report))
    path = folder / "python"
    path.write_text(
        f"#!/bin/sh\n[ $2 = gog_train.check ] && exec cat '{folder / 'report.json'}'\ntouch '{folder}/ran'\n"
    )
    path.chmod(0o755)
    return str(path)


def test_a_dry_run_prints_the_command_and_starts_nothing(gog: Gog, tmp_path: Path) -> None:
    python = standin(tmp_path, REPORT)
    done = gog("train", "sft", "-c", "my file.yaml", "--python", python, "--dry-run", "--", "--epochs", "1")
    assert (done.code, done.err) == (0, "")
    assert "warning  memory: about 90 GB" in done.out
    assert "lower max_length" in done.out
    several = "-m torch.distributed.run --standalone --nproc-per-node 2"
    assert f"{python} {several} -m gog_train.sft --config 'my file.yaml' --epochs 1" in done.out
    asked = gog("train", "sft", "-c", "x", "--python", python, "--dry-run", "--json")
    assert json.loads(asked.out)["command"][-2:] == ["--config", "x"]
    assert not (tmp_path / "ran").exists()


def test_what_is_wrong_stops_it_with_a_line(gog: Gog, tmp_path: Path) -> None:
    python = standin(tmp_path, {**REPORT, "checks": [*REPORT["checks"], PROBLEM], "fit": False})  # type: ignore[misc]
    done = gog("train", "sft", "-c", "x", "--python", python)
    assert done.code == 2
    assert done.error == "gog: training was not started: export: there is none; export it"
    assert "PROBLEM  export" in done.out
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["dpo", "-c", "x"], "there are two stages: sft and grpo"),
        (["sft", "-c", "x", "--python", "/no/such/python"], "name the training environment's interpreter"),
        (["sft", "-c", "x", "--processes", "0"], "processes"),
    ],
)
def test_wrong_use(gog: Gog, args: list[str], said: str) -> None:
    done = gog("train", *args)
    assert done.code == 2
    assert said in done.error


@pytest.mark.slow
def test_a_tiny_model_is_trained(gog: Gog, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    name, out = "qwen2.5-vl", tmp_path / "out"
    export = trl_export(shared_run(atlas("tiny"), tmp_path_factory), "sft", small(name), tmp_path)
    model = tiny_models.checkpoint(name, tmp_path / "model")
    settings = {"model": model, "export": export, "output": out, "max_steps": 2, "batch_size": 2, "workers": 0}
    (tmp_path / "sft.yaml").write_text("".join(f"{key}: {value}\n" for key, value in settings.items()))
    python = interpreter(tmp_path / "bin")
    done = gog("train", "sft", "-c", tmp_path / "sft.yaml", "--python", python, "--", "--evaluate", "false")
    assert (done.code, done.err) == (0, "")
    card = json.loads((out / "run.json").read_text())
    manifest = json.loads((export / "manifest.json").read_text())
    assert (card["state"], card["steps"]) == ("done", 2)
    assert card["metrics"]["train_loss"] > 0
    assert card["command"][:3] == [str(python), "-m", "gog_train.sft"]
    assert card["settings"]["model"] == str(model)
    hashes = {file["name"]: file["sha256"] for split in manifest["splits"].values() for file in split["files"]}
    assert card["export"]["files"] == hashes
    assert card["versions"]["trl"] == "1.16.0"
    assert (out / "adapter" / "gog.json").exists()
    assert "done after 2 steps" in (out / "README.md").read_text()

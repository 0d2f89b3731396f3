"""How verl is started on an export, and ended: with a stand-in for verl, that does what its workers would."""

import sys
import time
from pathlib import Path

import pytest
import yaml

from gog_train.settings import TrainingError
from gog_train.verl import start
from gog_train.verl.start import recipe_for, watched
from gog_train.verl.stop import FILE

RECIPE = """
actor: {optim: {lr: 2e-6}}
data: {train_files: ["${oc.env:GOG_EXPORT}/data/train.parquet"]}
ray_kwargs: {ray_init: {runtime_env: {env_vars: {}}}}
"""


def test_workers_get_values_and_no_references() -> None:
    environment = {
        "GOG_EXPORT": "/data/an export, {with} = signs",
        "GOG_CHAT_TEMPLATE": "{%- if a %}'\\n'{% endif %}\n# \"quoted\"",
        "GOG_JUDGE_KEY_ENV": "SECRET",
        "SECRET": "sk-secret",
        "HOME": "/root",
    }
    made = recipe_for(RECIPE, environment)
    config = yaml.safe_load(made)
    handed = {name: environment[name] for name in ("GOG_EXPORT", "GOG_CHAT_TEMPLATE", "GOG_JUDGE_KEY_ENV")}
    assert config["ray_kwargs"]["ray_init"]["runtime_env"]["env_vars"] == handed
    assert "sk-secret" not in made, "verl prints what it hands on"
    assert config["data"] == yaml.safe_load(RECIPE)["data"], "the rest is resolved where it is read"
    assert "lr: 2e-6\n" in made, "hydra reads it as a number"


def test_a_value_that_verl_would_resolve_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"MODEL holds \$\{, which verl takes for a reference"):
        recipe_for(RECIPE, {"MODEL": "/models/${x}"})


@pytest.mark.parametrize("code", [0, 3])
def test_verls_own_end_is_its_exit_code(tmp_path: Path, code: int) -> None:
    assert watched([sys.executable, "-c", f"raise SystemExit({code})"], tmp_path, look=0.05) == code


def test_a_worker_ends_a_training_that_would_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worker = "import sys, time; from gog_train.verl.stop import ask_to_stop; "
    worker += "ask_to_stop('no judge', {'GOG_CALLS': sys.argv[1]}); "
    began = time.monotonic()
    assert watched([sys.executable, "-c", worker + "time.sleep(300)", str(tmp_path)], tmp_path, look=0.05) == 1
    assert time.monotonic() - began < 100
    assert capsys.readouterr().err == "error: training stopped: no judge\n"


def test_one_that_does_not_heed_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "PATIENCE", 0.2)
    (tmp_path / FILE).write_text("no judge")
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"
    assert watched([sys.executable, "-c", stubborn], tmp_path, look=0.5) == 1


def test_one_that_ends_by_itself_after_a_reason_has_failed(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("no judge")
    assert watched([sys.executable, "-c", ""], tmp_path, look=5.0) == 1


def test_nothing_starts_where_the_look_before_it_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in start.HANDED_ON:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(start, "watched", lambda *_: pytest.fail("it started"))
    assert start.main([]) == 2


def test_what_stopped_the_last_training_does_not_stop_this_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(start, "check", lambda _words: 0)

    def watched_once(command: list[str], _calls: Path) -> int:
        commands.append(command)
        return 0

    monkeypatch.setattr(start, "watched", watched_once)
    monkeypatch.setenv("GOG_EXPORT", str(tmp_path))
    monkeypatch.setenv("GOG_CALLS", str(tmp_path / "calls"))
    (tmp_path / "grpo.yaml").write_text(RECIPE)
    (tmp_path / "calls").mkdir()
    (tmp_path / "calls" / FILE).write_text("no judge")
    assert start.main(["trainer.total_epochs=1"]) == 0
    assert not (tmp_path / "calls" / FILE).exists()
    recipe = tmp_path / "calls" / "recipe"
    assert commands[0][1:] == [
        *start.TRAINER,
        f"--config-path={recipe}",
        "--config-name=grpo",
        f"+{start.ATTENTION}=sdpa",
        "trainer.total_epochs=1",
    ]
    assert start.main([f"+{start.ATTENTION}=flash_attention_2"]) == 0
    assert commands[1][-2:] == ["--config-name=grpo", f"+{start.ATTENTION}=flash_attention_2"]
    handed = yaml.safe_load((recipe / "grpo.yaml").read_text())["ray_kwargs"]["ray_init"]["runtime_env"]["env_vars"]
    assert handed["GOG_EXPORT"] == str(tmp_path)

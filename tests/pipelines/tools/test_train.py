"""Trainings that are started: what is asked before, the command, the run card; with a stand-in for the trainer."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gog.pipelines.tools.train import CARD, README, Launch, LaunchError, card_text, command_of, examine, train

STANDIN = """\
import json, os, signal, sys, time
from pathlib import Path
at = sys.argv.index("-m") + 1
module, rest = sys.argv[at], sys.argv[at + 1 :]
settings = {"model": "m", "output": os.environ["OUT"], "revision": None, "epochs": 3.0}
if module == "gog_train.check":
    print("a library says something")
    facts = {"settings": settings, "export": None, "versions": {"torch": "2.13.0"}, "git": None,
             "device": ["CPU"], "memory": None, "asked": rest}
    print(json.dumps({"stage": rest[-1], "checks": [], "gpus": [], "processes": 1, "fit": True, "facts": facts}))
    sys.exit(0)
out = Path(os.environ["OUT"])
began = json.loads((out / "run.json").read_text())
assert began["state"] == "running", began
def stop(*_):
    folder = out / "checkpoint-7"
    folder.mkdir()
    state = {"global_step": 7, "log_history": [{"loss": 3.0, "step": 5}, {"loss": 2.0}]}
    (folder / "trainer_state.json").write_text(json.dumps(state))
    sys.exit(1)
if "--wait" in rest:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    (out / "up").touch()
    time.sleep(60)
if "--fail" in rest:
    sys.exit(2)
card = {"stage": "sft", "steps": 9, "metrics": {"train_loss": 1.5, "train_runtime": 12.3}, "device": {"name": "B9"},
        "versions": {"torch": "2.13.0"}, "rows": {"train": {"trained": 4}}}
(out / "run.json").write_text(json.dumps(card))
"""


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An interpreter that stands in for the one of the training environment."""
    (tmp_path / "standin.py").write_text(STANDIN)
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\nexec '{sys.executable}' -I '{tmp_path / 'standin.py'}' \"$@\"\n")
    path.chmod(0o755)
    monkeypatch.setenv("OUT", str(tmp_path / "out"))
    return str(path)


def card_of(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / CARD).read_text())
    return found


def start(python: str, *arguments: str) -> int:
    launch = Launch("sft", arguments, python)
    report = examine(launch)
    return train(command_of(launch, report["processes"]), report)


def test_the_card_is_written_before_and_completed_after(python: str, tmp_path: Path) -> None:
    assert start(python, "--config", "x.yaml") == 0
    card = card_of(tmp_path / "out")
    assert card["command"] == [python, "-m", "gog_train.sft", "--config", "x.yaml"]
    assert (card["state"], card["exit_code"], card["steps"]) == ("done", 0, 9)
    assert card["metrics"] == {"train_loss": 1.5, "train_runtime": 12.3}
    assert card["rows"] == {"train": {"trained": 4}}
    assert card["asked"] == ["--json", "sft", "--config", "x.yaml"]
    assert card["times"]["started"] <= card["times"]["ended"]
    text = (tmp_path / "out" / README).read_text()
    assert "done after 9 steps" in text
    assert "B9" in text
    assert "1.5" in text
    assert "12.3" not in text
    assert card["times"]["started"][:10] not in text, "what a clock has measured is in run.json alone"


def test_a_training_that_fails_says_so(python: str, tmp_path: Path) -> None:
    assert start(python, "--fail") == 2
    card = card_of(tmp_path / "out")
    assert (card["state"], card["exit_code"]) == ("failed", 2)
    assert "None were written" in (tmp_path / "out" / README).read_text()


PARENT = """
import sys
from gog.pipelines.tools.train import Launch, examine, command_of, train
launch = Launch("sft", ("--wait",), sys.argv[1])
sys.exit(train(command_of(launch, 1), examine(launch)))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_handed_on_and_the_card_has_the_last_checkpoint(python: str, tmp_path: Path, number: int) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, python], start_new_session=True) as parent:
        last = time.monotonic() + 60
        while not (tmp_path / "out" / "up").exists() and time.monotonic() < last:
            time.sleep(0.05)
        if number == signal.SIGINT:
            os.killpg(parent.pid, number)  # as a terminal does
        else:
            parent.send_signal(number)
        assert parent.wait(30) == 1
    card = card_of(tmp_path / "out")
    assert (card["state"], card["steps"], card["metrics"]) == ("stopped", 7, {"loss": 2.0, "step": 5})


def test_several_processes_are_started_by_torchrun() -> None:
    command = command_of(Launch("grpo", ("--config", "a b.yaml"), "py"), 4)
    assert command == [
        *("py", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "4"),
        *("-m", "gog_train.grpo", "--config", "a b.yaml"),
    ]


def test_the_number_of_processes_is_handed_to_the_check(python: str) -> None:
    assert examine(Launch("grpo", ("--x",), python, 3))["facts"]["asked"] == [
        *("--json", "--processes", "3", "grpo", "--x")
    ]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'No module named gog' >&2; exit 1", r"cannot run gog_train \(No module named gog\): there, pip install"),
        ("echo 'not json'", r"cannot run gog_train \(nothing was said\)"),
        ("echo '[]'", "cannot run gog_train"),
    ],
)
def test_an_interpreter_without_gog_train_is_told(tmp_path: Path, script: str, said: str) -> None:
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    with pytest.raises(LaunchError, match=said):
        examine(Launch("sft", (), str(path)))
    with pytest.raises(LaunchError, match="name the training environment's interpreter with --python"):
        examine(Launch("sft", (), str(tmp_path / "nobody")))


def test_an_output_that_cannot_be_written_is_told(python: str, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(LaunchError, match="the run card cannot be written"):
        start(python)


def test_names_do_not_become_markup() -> None:
    card = {
        "stage": "sft",
        "state": "done",
        "command": ["py", "`x`\n# new"],
        "settings": {"model": "a`b", "output": "<b>|x", "revision": "*r*"},
        "export": {"folder": "f", "sha256": "0", "rows": {"train": 2}, "files": {"a|b": "1"}},
        "versions": {"torch": "2"},
        "device": ["<GPU>"],
        "metrics": {"loss|x": float("nan")},
        "git": {"revision": "abc", "dirty": True},
    }
    text = card_text(card)
    assert "<b>" not in text
    assert "<GPU>" not in text
    assert "\n# new" not in text
    assert "a|b" not in text
    assert "with changes that are not committed" in text

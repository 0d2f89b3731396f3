"""A merged checkpoint of verl becomes a folder that evaluation and serving take."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from lakes import small_run, source_of

from gog.pipelines.export.request import ExportRequest
from gog.pipelines.export.write import export_rl
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.export.target import Target
from gog_train.checkpoints import read_notes
from gog_train.data import ExportError
from gog_train.verl.finish import finish, main


@pytest.fixture
def export(tmp_path: Path) -> Path:
    target = Target("verl", BACKBONES["qwen3-vl"])
    return export_rl(source_of(small_run(tmp_path / "lake")), ExportRequest(target=target)).folder


@pytest.fixture
def merged(tmp_path: Path) -> Path:
    """What verl's merger leaves."""
    folder = tmp_path / "merged"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").touch()
    return folder


def test_notes_and_template_are_those_of_the_export(export: Path, merged: Path) -> None:
    serve = finish(export, merged)
    notes = read_notes(str(merged))
    assert notes is not None
    assert (notes["backbone"], notes["thinking"], notes["serve"]) == ("qwen3-vl", True, serve)
    assert serve[:3] == ["vllm", "serve", str(merged)]
    assert (merged / "chat_template.jinja").read_text() == (export / "chat_template.jinja").read_text()


def test_the_printed_command_is_one_for_a_shell(
    export: Path, merged: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["finish", str(export), str(merged)])
    assert main() == 0
    printed = shlex.split(capsys.readouterr().out.removeprefix("serve it: "))
    assert printed == finish(export, merged)


def test_what_is_no_merged_model(export: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="holds no merged model"):
        finish(export, tmp_path)


def test_wrong_use_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["finish", "one"])
    assert main() == 2
    assert capsys.readouterr().err == "error: usage: python -m gog_train.verl.finish EXPORT FOLDER\n"


def test_the_script_merges_then_finishes(export: Path, tmp_path: Path) -> None:
    shutil.move(export, tmp_path / "an export")
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nprintf "%s|" "$@"\necho\n')
    python.chmod(0o755)
    script = tmp_path / "an export" / "merge.sh"
    env = {"PATH": os.environ["PATH"], "PYTHON": str(python)}
    said = subprocess.run([script, "a/global_step_2", "o"], capture_output=True, text=True, env=env, check=True)
    merge, finished = said.stdout.splitlines()
    assert merge == "-m|verl.model_merger|merge|--backend|fsdp|--local_dir|a/global_step_2/actor|--target_dir|o|"
    assert finished == f"-m|gog_train.verl.finish|{tmp_path / 'an export'}|o|"

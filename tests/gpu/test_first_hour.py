"""The first hour of a GPU: its half that a CPU can do, what it leaves out, and what it says of parts that fail."""

import json
import sys
from pathlib import Path

import pytest
import tiny_models
from gpu import first_hour
from gpu.first_hour import FIRST_HALF, Child, main, measure, plan, table
from gpu.measures import PARTS
from gpu.sizes import SIZES, checkpoint

from gog_train.memory import shape_of
from gog_train.sft import SftSettings

CPU = {"gpu": False, "name": "CPU", "vllm": "0.32.0"}
GPU = {"gpu": True, "name": "H200", "vllm": "0.32.0"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_on_a_cpu_it_does_its_first_half(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    code = main(["--quick", "--out", str(out)])
    said = capsys.readouterr().out
    assert code == 0, said
    record = json.loads(out.read_text())
    assert {one["part"] for one in record["figures"]} == set(FIRST_HALF)
    assert not [one for one in record["figures"] if one["fine"] is False]
    assert record["failed"] == {}
    assert {"torch", "trl"} <= set(record["device"]["versions"])
    for one in record["figures"]:
        assert f"| tiny | {one['part']} | {one['what']} | {one['found']} |" in said
    assert "left out: 100M: no GPU" in said
    assert "left out: vllm, vllm-single: no GPU: `make test-vllm`" in said


@pytest.mark.gpu
def test_on_a_gpu_it_does_all(tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path / "out.json")]) == 0


def test_a_gpu_does_all_parts_and_vllm_in_processes_of_its_own() -> None:
    children, left_out = plan(GPU)
    assert {part for child in children for part in child.parts} == set(PARTS)
    assert {child.size for child in children} == set(SIZES)
    assert all(len(child.parts) == 1 for child in children if child.parts[0].startswith("vllm"))
    assert left_out == {}
    children, left_out = plan(GPU | {"vllm": None})
    assert {part for child in children for part in child.parts} == set(FIRST_HALF)
    assert left_out == {"vllm, vllm-single": "vLLM is not installed there"}
    assert plan(CPU)[0] == [Child("tiny", FIRST_HALF)]


def test_a_part_that_dies_or_hangs_is_told_with_its_last_words(tmp_path: Path) -> None:
    child = Child("tiny", ("sft",))

    def said(script: str, left_s: float = 60) -> str:
        return measure(tmp_path, child, [sys.executable, "-c", script], left_s)

    assert said("pass") == ""
    assert said("raise SystemExit('CUDA out of memory')") == "it ended with 1: CUDA out of memory"
    assert said("import os; os.abort()") == "it ended with -6: it said nothing"
    assert said("import time; time.sleep(60)", 0.1) == "it did not end in 0 s"


def test_what_failed_and_what_is_not_as_wanted_is_in_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figure = {"size": "tiny", "part": "sft", "what": "loss", "found": "1 to 2", "wanted": "falls", "fine": False}
    record = {"device": CPU, "seconds": 1.0, "figures": [figure], "left_out": {}, "failed": {}}
    monkeypatch.setattr(first_hour, "first_hour", lambda *_: record)
    options = ["--out", str(tmp_path / "out.json")]
    assert main(options) == 1
    assert "| tiny | sft | loss | 1 to 2 | falls | NOT SO |" in capsys.readouterr().out
    record |= {"figures": [figure | {"fine": True}]}
    assert main(options) == 0
    record |= {"failed": {"tiny sft": "it ended with -9: it said nothing"}}
    assert main(options) == 1
    assert "FAILED: tiny sft: it ended with -9" in table(record)


def test_the_large_model_has_about_100_million_weights(tmp_path: Path) -> None:
    tiny_models.register()
    checkpoint(tmp_path / "model", SIZES["100M"])
    settings = SftSettings.model_validate({"model": str(tmp_path / "model"), "export": "e", "output": "o"})
    assert 90e6 < shape_of(settings).parameters < 125e6

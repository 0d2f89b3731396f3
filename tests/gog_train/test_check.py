"""What a training needs: each thing that can be wrong is said before anything starts."""

import json
from pathlib import Path
from typing import Any

import pytest
from training import small, trl_export

from gog.pipelines.config.config import Config
from gog_train import check
from gog_train.check import Gpu, Report, examine, main, pins, processes_for
from gog_train.grpo_settings import GrpoSettings
from gog_train.memory import Shape, memory_of
from gog_train.settings import TrainingError
from gog_train.sft import SftSettings

GB = 10**9
H100 = Gpu("NVIDIA H100", 80 * GB, 79 * GB)


@pytest.fixture
def arguments(checkpoints: dict[str, Path], sft_exports: dict[str, Path], _small: None, tmp_path: Path) -> list[str]:
    """Settings of a training that can start."""
    name = "qwen2.5-vl"
    values = {"model": checkpoints[name], "export": sft_exports[name], "output": tmp_path / "out", "batch-size": 4}
    return [part for key, value in values.items() for part in (f"--{key}", str(value))]


def state_of(report: Report, name: str) -> tuple[str, str]:
    (found,) = [one for one in report.checks if one.name == name]
    return found.state, f"{found.found} {found.advice}"


def test_all_is_well(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "sft", *arguments]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["fit"]
    assert report["processes"] == 1
    assert {one["name"] for one in report["checks"]} >= {"versions", "devices", "model", "export", "memory", "disk"}
    export = report["facts"]["export"]
    assert len(export["sha256"]) == 64
    assert all(len(sha256) == 64 for sha256 in export["files"].values())
    assert export["rows"]["train"] > 0
    assert report["facts"]["settings"]["batch_size"] == 4
    assert main(["sft", *arguments]) == 0
    assert "export:" in capsys.readouterr().out


@pytest.mark.usefixtures("_small")
def test_what_rules_can_settle_is_said(tiny: Config, checkpoints: dict[str, Path], tmp_path: Path) -> None:
    name = "qwen3-vl"
    folder = trl_export(tiny, "rl", small(name), tmp_path)
    arguments = ["--model", str(checkpoints[name]), "--export", str(folder), "--output", "out", "--levels", "1,2"]
    state, said = state_of(examine("grpo", arguments), "rules")
    assert (state, "both ways" in said, "are masked" in said) == ("warning", True, True)
    state, said = state_of(examine("grpo", [*arguments, "--unsettled", "zero"]), "rules")
    assert (state, "are paid 0 name a judge" in said) == ("warning", True)
    assert state_of(examine("grpo", [*arguments, "--judge", "http://127.0.0.1:9/v1#m"]), "rules")[0] == "ok"


def test_nothing_is_written(arguments: list[str], tmp_path: Path) -> None:
    examine("sft", arguments)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "name", "said"),
    [
        (["--no-such", "1"], None, ""),
        (["--lora-rank", "none"], "settings", "lora_rank"),
        (["--model", "/no/such/model"], "model", "has no config of a model"),
        (["--export", "/no/such/export"], "export", "there is no export in"),
        (["--batch-size", "4", "--device-batch-size", "3"], "settings", "divide"),
    ],
)
def test_what_is_wrong_is_a_problem(
    arguments: list[str], more: list[str], name: str | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if name is None:
        with pytest.raises(SystemExit):
            main(["sft", *arguments, *more])
        return
    assert main(["sft", *arguments, *more]) == 2
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("problem")]
    assert line.startswith(f"problem  {name}: ")
    assert said in line


def test_a_file_that_was_changed_is_found(arguments: list[str], tmp_path: Path) -> None:
    import shutil

    place = arguments.index("--export") + 1
    copy = shutil.copytree(arguments[place], tmp_path / "copy")
    arguments[place] = str(copy)
    path = next(copy.glob("**/train-*.parquet"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert state_of(examine("sft", arguments), "export")[0] == "problem"


def test_checkpoints_of_another_training_are_not_mixed_in(arguments: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "out" / "checkpoint-3"
    folder.mkdir(parents=True)
    (folder / "trainer_state.json").write_text("{}")
    assert state_of(examine("sft", arguments), "output")[0] == "problem"
    assert "goes on from" in state_of(examine("sft", [*arguments, "--resume"]), "output")[1]


def test_devices_are_compared_with_what_is_needed(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "_gpus", lambda: (H100,) * 4)
    report = examine("sft", arguments)
    assert report.processes == 4
    assert state_of(report, "devices")[0] == state_of(report, "memory")[0] == "ok"
    assert state_of(examine("sft", arguments, 8), "devices")[0] == "problem"
    few = examine("sft", arguments, 3)
    assert "1 stay idle" in state_of(few, "devices")[1]
    assert state_of(few, "batches")[0] == "problem"
    monkeypatch.setattr(check, "_gpus", lambda: (Gpu("small", 2 * GB, GB // 2),))
    assert state_of(examine("sft", arguments), "memory")[0] == "warning"
    monkeypatch.setattr(check, "_gpus", lambda: (Gpu("tiny", 1000, 1000),))
    assert state_of(examine("sft", arguments), "memory")[0] == "problem"
    assert not examine("sft", arguments).fit


@pytest.mark.parametrize(
    ("gigabytes", "share", "state", "said"),
    [
        (80, 0.3, "ok", ""),
        (48, 0.3, "problem", "set vllm_memory to 0.43 or more"),
        (40, 0.3, "problem", "set vllm_memory to 0.52 or more"),
        (80, 0.2, "problem", "weights and one rollout need 20.5 GB"),
        (20, 0.5, "problem", "a larger GPU, or set `vllm: server`"),
    ],
)
def test_a_colocated_vllm_needs_room_in_its_share(gigabytes: int, share: float, state: str, said: str) -> None:
    """Qwen2.5-VL-7B, whose weights take 16.6 GB in bf16."""
    shape = Shape(8_292_166_656, 20_185_088, 28, 3584, 18944, 512, 152064)
    device = gigabytes * GB
    memory = memory_of(shape, grpo(vllm="colocate", vllm_memory=share), 8, device)
    found = check._memory(memory, [Gpu("one", device, device)])
    assert (found.state, said in f"{found.found} {found.advice}") == (state, True), found


@pytest.mark.parametrize("name", ["processor", "packages"])
def test_processor_and_packages_are_looked_at(arguments: list[str], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert state_of(examine("sft", arguments), name)[0] == "ok"

    def wrong(*_: Any) -> None:
        raise TrainingError("it is wrong")

    monkeypatch.setattr(check, f"check_{name}", wrong)
    assert state_of(examine("sft", arguments), name) == ("problem", "it is wrong ")


@pytest.mark.parametrize(
    ("more", "state", "said"),
    [
        ([], "ok", "adapter"),
        (["--train-vision"], "warning", "vLLM takes no adapter on a vision tower or on experts set `save: both`"),
        (["--train-vision", "--save", "both"], "ok", "both"),
        (["--train-vision", "--tune", "full"], "ok", "the whole model"),
    ],
)
def test_what_cannot_be_served_is_said_before(arguments: list[str], more: list[str], state: str, said: str) -> None:
    found, told = state_of(examine("sft", [*arguments, *more]), "save")
    assert (found, told.strip()) == (state, said)


@pytest.mark.parametrize(
    ("installed", "state", "said"),
    [
        ({}, "ok", "trl 1.16.0"),
        ({"trl": "1.17.0"}, "problem", "trl 1.17.0, needed is ==1.16.0"),
        ({"torch": None}, "problem", "torch missing"),
        ({"transformers": "5.20.0"}, "warning", "transformers 5.20.0 (5.19.0)"),
        ({"torch": "2.13.0+cu130"}, "ok", "2.13.0+cu130"),
        ({"vllm": None}, "problem", "vllm missing"),
    ],
)
def test_versions(installed: dict[str, str | None], state: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, Any] = pins() | installed
    monkeypatch.setattr(check, "version_of", found.get)
    (told,) = check._versions(vllm=True)
    assert (told.state, said in told.found) == (state, True), told.found


def sft(**changes: Any) -> SftSettings:
    return SftSettings.model_validate({"model": "m", "export": "e", "output": "o"} | changes)


def grpo(**changes: Any) -> GrpoSettings:
    return GrpoSettings.model_validate({"model": "m", "export": "e", "output": "o"} | changes)


@pytest.mark.parametrize(
    ("settings", "gpus", "processes"),
    [
        (sft(), 0, 1),
        (sft(), 8, 8),
        (sft(), 6, 4),
        (sft(device_batch_size=4), 8, 2),
        (sft(batch_size=7), 4, 1),
        (grpo(), 8, 8),
        (grpo(questions=6, rollouts=2, device_batch_size=4), 8, 3),
        (grpo(vllm="server"), 8, 1),
    ],
)
def test_processes_divide_a_step(settings: Any, gpus: int, processes: int) -> None:
    assert processes_for(settings, gpus) == processes

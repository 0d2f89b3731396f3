"""`gog_train.grpo` as a user runs it: on a real export, with local searches, from checks to a saved adapter."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from endpoint import Endpoint, completion, refusal, talk
from families import FAMILIES
from lakes import small_run, source_of
from rolling import answer, call
from training import grpo_values, module_of, small

from gog.pipelines.export.request import ExportRequest
from gog.pipelines.export.write import export_rl
from gog.transforms.dialect.backbones import BACKBONES, Backbone
from gog.transforms.export.target import Target
from gog_train import grpo
from gog_train.data import ExportError
from gog_train.grpo import _arguments, main, prepare, train
from gog_train.grpo_settings import GrpoSettings
from gog_train.services import longest_wait_s
from gog_train.settings import TrainingError
from gog_train.stages import Trained

Folders = dict[str, Path]
QWEN3 = "qwen3-vl"


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """RL exports of a small run: one row of level 1, one of level 2. Nobody writes to them."""
    lake = small_run(tmp_path_factory.mktemp("grpo") / "lake")
    return {
        name: export_rl(source_of(lake), ExportRequest(target=Target("trl", small(name)))).folder for name in FAMILIES
    }


@pytest.fixture
def options(small_backbone: Backbone, exports: Folders, checkpoints: Folders, world: Path, tmp_path: Path) -> Any:
    """Settings of a short training of a family."""
    return grpo_values(checkpoints[small_backbone.name], exports[small_backbone.name], world, tmp_path)


@pytest.fixture
def qwen3(_small: None, exports: Folders, checkpoints: Folders, world: Path, tmp_path: Path) -> dict[str, Any]:
    """The same of one family, for what does not depend on it."""
    return grpo_values(checkpoints[QWEN3], exports[QWEN3], world, tmp_path)


def words(options: dict[str, Any]) -> list[str]:
    """Settings as a command line."""
    shown = {key: ",".join(map(str, value)) if isinstance(value, tuple) else value for key, value in options.items()}
    return [part for key, value in shown.items() for part in (f"--{key.replace('_', '-')}", str(value))]


def looks(number: int, turn: int) -> str:
    """Every second rollout looks, reads and is right."""
    if number % 2:
        return answer("Uganda")
    return [
        call("gaze", bbox_2d=[10, 10, 150, 150], label="flag"),
        call("text_search", query="Kenya capital"),
        answer("Kenya"),
    ][turn]


def adapter_of(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(folder / "adapter_model.safetensors"))


@pytest.mark.slow
def test_it_trains_with_tools_and_saves(
    options: dict[str, Any], acting: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    acting(looks)
    assert main(words(options | {"save": "both"})) == 0
    output = options["output"]
    card = json.loads((output / "run.json").read_text())
    assert card["stage"] == "grpo"
    assert card["steps"] == 2
    assert card["questions"] == 4
    metrics = card["metrics"]
    assert (metrics["reward/accuracy"], metrics["reward/format"], metrics["episode/masked"]) == (0.5, 1, 0)
    assert (metrics["searches/gaze"], metrics["searches/text_search"]) == (0.5, 0.5)
    assert (metrics["behaviour/mixed"], metrics["behaviour/direct"]) == (0.5, 0.5)
    assert metrics["episode/turns"] == 2
    assert any(bool(weights.any()) for name, weights in adapter_of(output / "adapter").items() if "lora_B" in name)
    assert (output / "merged" / "chat_template.jinja").is_file()
    assert "step 0/2" in capsys.readouterr().err


@pytest.mark.parametrize(("unsettled", "masked", "accuracy"), [("mask", 0.5, 1), ("zero", 0, 0.5)])
def test_answers_that_nobody_settles_are_masked_or_paid_zero_and_counted(
    qwen3: dict[str, Any],
    acting: Any,
    capsys: pytest.CaptureFixture[str],
    unsettled: str,
    masked: float,
    accuracy: float,
) -> None:
    acting(lambda number, turn: answer("Uganda" if number % 2 else "Kenya"))
    assert main(words(qwen3 | {"unsettled": unsettled, "max_steps": 1})) == 0
    card = json.loads((qwen3["output"] / "run.json").read_text())
    assert (card["unsettled_rollouts"], card["settings"]["unsettled"]) == (2, unsettled)
    metrics = card["metrics"]
    assert (metrics["episode/unsettled"], metrics["masked/unsettled"], metrics["masked/judge"]) == (0.5, masked, 0)
    assert metrics["reward/accuracy"] == accuracy
    said = capsys.readouterr().err
    assert "rules settle answers to 2 questions: 100% only as right (string: 2 only as right); answers that" in said
    assert f"2 rollouts had an answer that no rule settles; unsettled: {unsettled}" in said


def test_a_stopped_training_resumes_to_the_same_weights(qwen3: dict[str, Any], acting: Any, tmp_path: Path) -> None:
    acting(lambda number, turn: answer("Kenya" if number % 2 else "Uganda"))
    whole = train(GrpoSettings(**qwen3 | {"output": tmp_path / "whole"}))
    shutil.copytree(tmp_path / "whole", tmp_path / "out", ignore=shutil.ignore_patterns("checkpoint-2", "adapter"))
    assert train(GrpoSettings(**qwen3 | {"resume": "last"})).steps == whole.steps == 2
    there, here = adapter_of(tmp_path / "whole" / "adapter"), adapter_of(tmp_path / "out" / "adapter")
    assert there.keys() == here.keys()
    assert all((there[name] - here[name]).abs().max() < 1e-6 for name in there)
    assert any(bool(weights.any()) for name, weights in here.items() if "lora_B" in name)


def test_a_whole_model_is_trained_and_saved(qwen3: dict[str, Any], acting: Any) -> None:
    import torch
    from safetensors.torch import load_file

    acting(lambda number, turn: answer("Kenya" if number % 2 else "Uganda"))
    trained = train(GrpoSettings(**qwen3 | {"tune": "full", "max_steps": 1}))
    assert trained.saved == {"model": qwen3["output"] / "model"}
    before, after = (
        load_file(folder / "model.safetensors") for folder in (Path(qwen3["model"]), trained.saved["model"])
    )
    moved = {name for name, weights in before.items() if not torch.equal(weights, after[name])}
    assert moved
    assert not [name for name in moved if "visual" in name]
    serve = json.loads((trained.saved["model"] / "gog.json").read_text())["serve"]
    assert serve[:3] == ["vllm", "serve", str(trained.saved["model"])]
    assert "--enable-lora" not in serve


def test_a_training_that_learns_nothing_stops_with_the_reason(
    qwen3: dict[str, Any], acting: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    acting(lambda number, turn: answer("Kenya"))
    assert main(words(qwen3 | {"epochs": 20, "give_up": 1})) == 1
    said = capsys.readouterr().err
    assert "nothing is learned: for 1 steps the rollouts of every question were all right or all wrong" in said
    assert "2 of 20 steps are done: --resume goes on from there" in said


def test_an_adapter_to_start_from_is_merged_and_kept(qwen3: dict[str, Any], acting: Any, tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForImageTextToText

    acting(lambda number, turn: answer("Kenya"))
    start = AutoModelForImageTextToText.from_pretrained(qwen3["model"])
    lora = get_peft_model(start, LoraConfig(r=2, target_modules=BACKBONES[QWEN3].language, init_lora_weights=False))
    lora.save_pretrained(tmp_path / "sft")
    tiny_models.processor(QWEN3).save_pretrained(tmp_path / "sft")
    trained = train(GrpoSettings(**qwen3 | {"model": str(tmp_path / "sft"), "max_steps": 1}))
    saved = trained.saved["adapter"]
    assert json.loads((saved / "adapter_config.json").read_text())["base_model_name_or_path"] == str(
        tmp_path / "out" / "base"
    )
    base = AutoModelForImageTextToText.from_pretrained(tmp_path / "out" / "base")
    merged = lora.merge_and_unload().state_dict()
    assert all(torch.allclose(weights, merged[name], atol=1e-6) for name, weights in base.state_dict().items())
    PeftModel.from_pretrained(base, saved)


def test_a_judge_that_falls_ill_leaves_a_checkpoint(qwen3: dict[str, Any], acting: Any, capsys: Any) -> None:
    acting(lambda number, turn: answer("another country"))
    endpoint = Endpoint(
        [completion('{"verdict": "correct"}'), *[completion('{"verdict": "wrong"}')] * 4, completion("")]
    )
    settings = qwen3 | {"epochs": 20, "save_every": 100, "judge_window": 20}

    def go(base: str) -> int:
        return main(words(settings | {"judge": f"{base}#judge"}))

    code = talk(endpoint, lambda there: asyncio.to_thread(go, there.base))
    err = capsys.readouterr().err
    assert code == 1
    assert "the judge answered" in err
    assert "--resume goes on from there" in err
    (checkpoint,) = settings["output"].glob("checkpoint-*")
    assert (checkpoint / "optimizer.pt").is_file()
    assert "another country" in endpoint.bodies[-1]["messages"][0]["content"]


def rewritten(options: dict[str, Any], folder: Path, **changes: Any) -> Path:
    """A copy of the export with another manifest."""
    copy = Path(shutil.copytree(options["export"], folder / "export"))
    path = copy / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return copy


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"levels": (0,)}, "no rows of level 0"),
        ({"judge": "http://127.0.0.1:9/v1#judge"}, "the judge does not answer"),
        ({"judge": "nobody:"}, "judge: 'nobody:' is no address of a model"),
        (
            {"judge": "http://127.0.0.1:9/v1#judge", "judge_settings": {"key_env": "GOG_NO_SUCH"}},
            "GOG_NO_SUCH is not set",
        ),
        ({"text_search": "corpus:nowhere"}, "nowhere"),
        ({"text_search": "google:"}, "text_search: 'google:' is no address of a text search"),
        ({"text_search": "serper:"}, "SERPER_API_KEY"),
        ({"image_search": "serpapi:"}, "set `store_mode: replay`"),
        ({"store_mode": "replay"}, "needs a store"),
        ({"store_mode": "replay", "store": "nowhere"}, "nowhere"),
        ({"questions": 64}, "lower `questions`"),
        ({"vllm": "colocate"}, "vllm is not installed"),
        ({"report": "wandb"}, "pip install wandb"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_what_is_wrong_is_said_before_the_first_step(
    qwen3: dict[str, Any], changes: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SERPER_API_KEY", raising=False)
    with pytest.raises((TrainingError, ExportError), match=message):
        prepare(GrpoSettings(**qwen3 | changes))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"schema_version": 0}, "schema version 0"), ({"kind": "sft"}, "not for rl"), ({"format": "verl"}, "reads trl")],
)
def test_another_export_is_refused(qwen3: dict[str, Any], change: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=message):
        prepare(GrpoSettings(**qwen3 | {"export": rewritten(qwen3, tmp_path, **change)}))


@pytest.mark.parametrize("change", [{"max_turns": 5}, {"tools": ["text_search"]}])
def test_prompts_of_another_episode_are_refused(qwen3: dict[str, Any], change: Any, tmp_path: Path) -> None:
    episode = json.loads((qwen3["export"] / "manifest.json").read_text())["episode"]
    copy = rewritten(qwen3, tmp_path, episode=episode | change)
    with pytest.raises(TrainingError, match="is not what this version begins an episode with: export again"):
        prepare(GrpoSettings(**qwen3 | {"export": copy}))


def test_a_server_of_rollouts_without_a_gpu_is_refused(qwen3: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr("gog_train.grpo.find_spec", lambda name: object())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match="by NCCL, which needs a GPU: set `vllm: colocate` or `off`"):
        prepare(GrpoSettings(**qwen3 | {"vllm": "server"}))


def test_the_episode_and_its_tools_are_those_of_the_run(qwen3: dict[str, Any], tmp_path: Path) -> None:
    episode = json.loads((qwen3["export"] / "manifest.json").read_text())["episode"]
    tools = {"crops": {"padding": 0.5}, "search": {"country": "de"}}
    copy = rewritten(qwen3, tmp_path, episode=episode | {"top_k": 2, "observation_tokens": 300}, tools=tools)
    material = prepare(GrpoSettings(**qwen3 | {"export": copy}))
    try:
        assert (material.export.episode.top_k, material.services.tools.top_k) == (2, 2)
        assert material.services.tools.cropper.settings.padding == 0.5
        assert material.export.tools.search.country == "de"
    finally:
        material.services.close()


def test_one_level_is_a_list_too(qwen3: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(qwen3 | {"levels": (0,)})) == 2
    assert "no rows of level 0" in capsys.readouterr().err


def test_an_image_that_is_cut_off_is_refused(qwen3: dict[str, Any], tmp_path: Path) -> None:
    import hashlib

    import pyarrow as pa
    import pyarrow.parquet as pq

    copy = rewritten(qwen3, tmp_path)
    (path,) = copy.glob("data/train-*.parquet")
    table = pq.read_table(path)
    rows = table.to_pylist()
    for row in rows:
        row["images"][0]["bytes"] = row["images"][0]["bytes"][:-100]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["splits"]["train"]["files"][0]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(TrainingError, match=r"has an image that cannot be read .*: export again"):
        prepare(GrpoSettings(**qwen3 | {"export": copy}))


def test_an_export_for_another_backbone_or_processor_is_refused(
    qwen3: dict[str, Any], exports: Folders, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(qwen3 | {"export": exports["qwen2.5-vl"]})) == 2
    assert "--backbone qwen3-vl" in capsys.readouterr().err
    monkeypatch.setattr(module_of(QWEN3), small("qwen2.5-vl"))
    assert main(words(qwen3)) == 2


def test_a_judge_that_cannot_judge_is_refused(qwen3: dict[str, Any]) -> None:
    for told, message in (
        (completion("I would rather not say."), "it says nothing that can be read"),
        (refusal(401, "no key"), "the judge does not answer"),
    ):
        with pytest.raises(TrainingError, match=message):
            talk(
                Endpoint([told]),
                lambda there: asyncio.to_thread(prepare, GrpoSettings(**qwen3 | {"judge": f"{there.base}#judge"})),
            )


@pytest.mark.parametrize("config", ["grpo_qwen2_5_vl", "grpo_qwen3_vl"])
def test_the_bundled_configs_are_the_papers_settings(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[GrpoSettings] = []

    def nothing(settings: GrpoSettings) -> Trained:
        seen.append(settings)
        return Trained(True, 0, {}, {})

    monkeypatch.setattr(grpo, "train", nothing)
    assert main(["--config", config, "--export", "exports", "--output", "out"]) == 0
    (settings,) = seen
    assert (settings.rollouts, settings.kl, settings.max_tokens) == (4, 0.001, 8192)
    assert (settings.epochs, settings.levels, settings.format_weight, settings.epsilon) == (15, (2,), 0.1, 0.2)
    assert (settings.rate, settings.model_copy(update={"tune": "full"}).rate) == (5e-5, 2e-6)


def trl_arguments(**changes: Any) -> Any:
    """TRL's arguments for settings of one step: 4 questions with 4 rollouts each."""
    settings = {"model": "m", "export": "e", "output": "o", "questions": 4, "save_every": 4, **changes}
    return _arguments(GrpoSettings.model_validate(settings), 8, balancing=True)


def test_epsilon_is_for_several_updates_of_a_batch_of_rollouts() -> None:
    one, several = trl_arguments(), trl_arguments(updates=4, epsilon=0.1, epsilon_high=0.28)
    assert (one.gradient_accumulation_steps, one.steps_per_generation) == (16, 16)
    assert (several.gradient_accumulation_steps, several.steps_per_generation) == (4, 16)
    assert (several.epsilon, several.epsilon_high) == (0.1, 0.28)


@pytest.mark.parametrize(
    ("loss", "trl", "scale"),
    [("token-mean", "dapo", "group"), ("sequence", "grpo", "group"), ("dr-grpo", "dr_grpo", "none")],
)
def test_how_tokens_are_added_up_is_named(loss: str, trl: str, scale: str) -> None:
    made = trl_arguments(loss=loss)
    assert (made.loss_type, made.scale_rewards) == (trl, scale)


def test_ratios_are_per_token_unless_told_otherwise() -> None:
    plain, off = trl_arguments(), trl_arguments(correction="off")
    assert plain.vllm_importance_sampling_correction
    assert (plain.vllm_importance_sampling_mode, plain.vllm_importance_sampling_clip_max) == ("token_truncate", 2.0)
    assert not off.vllm_importance_sampling_correction
    other = trl_arguments(correction="sequence-mask", correction_max=3)
    assert (other.vllm_importance_sampling_mode, other.vllm_importance_sampling_clip_max) == ("sequence_mask", 3.0)


def test_processes_wait_as_long_as_tools_and_judge_may_take() -> None:
    """NCCL's own half hour is less than what one slow search may take in each turn."""
    assert trl_arguments().ddp_timeout == longest_wait_s(8) > 8 * 1200


def test_settings_that_do_not_fit_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", "m", "--export", "e", "--output", "o", "--device-batch-size", "3", "--questions", "4"]
    assert main(arguments) == 2
    assert "has to divide questions times rollouts" in capsys.readouterr().err
    assert main([*arguments[:6], "--epsilon", "0.1"]) == 2
    assert "clips nothing with one step a batch" in capsys.readouterr().err
    assert main([*arguments[:6], "--updates", "2", "--epsilon-high", "0.28", "--save-every", "5"]) == 2
    assert "updates has to divide save_every" in capsys.readouterr().err
    assert main([*arguments[:6], "--curriculum", "x"]) == 2
    assert "curriculum" in capsys.readouterr().err

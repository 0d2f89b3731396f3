"""SFT on a real export with tiny models: it learns, only the adapter changes, it resumes, and it refuses bad input."""

import json
import math
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import tiny_models
from watching import lake_of, left_by

from gog.transforms.dialect.backbones import BACKBONES, Backbone
from gog_train import stages
from gog_train.checkpoints import read_notes, save
from gog_train.collator import EpisodeCollator
from gog_train.data import ExportError, open_export
from gog_train.mix import mixed
from gog_train.processors import fit, load_model, load_processor
from gog_train.rows import Rows, rows_of
from gog_train.settings import TrainingError
from gog_train.sft import SftSettings, main, make_trainer, train

Folders = dict[str, Path]


@pytest.fixture
def options(small_backbone: Backbone, sft_exports: Folders, checkpoints: Folders, tmp_path: Path) -> dict[str, Any]:
    """Settings of a short training."""
    return {
        "model": str(checkpoints[small_backbone.name]),
        "export": sft_exports[small_backbone.name],
        "output": tmp_path / "out",
        "batch_size": 1,
        "learning_rate": 1e-2,
        "warmup": 0.0,
        "workers": 0,
        "log_every": 1,
        "evaluate": False,
    }


def words(options: dict[str, Any], **more: Any) -> list[str]:
    """The same as a command line."""
    return [part for key, value in (options | more).items() for part in (f"--{key.replace('_', '-')}", str(value))]


def losses(output: Path) -> list[float]:
    """The loss of each step, by the last checkpoint."""
    state = max(output.glob("checkpoint-*"), key=lambda path: int(path.name.partition("-")[2])) / "trainer_state.json"
    return [entry["loss"] for entry in json.loads(state.read_text())["log_history"] if "loss" in entry]


def logits(model: Any, processor: Any, options: dict[str, Any], backbone: Backbone) -> Any:
    import torch

    row = rows_of(open_export(options["export"], "sft", backbone.name), "validation")[0]
    batch = EpisodeCollator(processor)([row])
    with torch.no_grad():
        return model.eval()(**{key: value for key, value in batch.items() if key != "labels"}).logits


@pytest.mark.slow
def test_it_learns_and_saves(
    small_backbone: Backbone, options: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch
    from peft import PeftModel

    options["model"] = str(tiny_models.checkpoint(small_backbone.name, tmp_path / "model", spread=0.1))
    settings = SftSettings(**options | {"max_steps": 30, "max_length": 1900, "save": "both", "evaluate": True})
    trained = train(settings)
    output = settings.output
    assert trained.finished
    assert trained.steps == 30
    assert f"serve it: vllm serve {output}/merged --chat-template" in capsys.readouterr().err
    assert math.isfinite(trained.metrics["eval_loss"])

    found = losses(output)
    assert len(found) == 30
    assert sum(found[-9:]) / 9 < sum(found[:9]) / 9 - 1, "an epoch's mean falls"

    rows = rows_of(open_export(settings.export, "sft", small_backbone.name), "train")
    left_out = [json.loads(line) for line in (output / "left_out.jsonl").read_text().splitlines()]
    assert left_out, "one of the rows is longer"
    assert all(line["tokens"] > 1900 for line in left_out)
    card = json.loads((output / "run.json").read_text())
    assert card["rows"]["train"]["trained"] + card["rows"]["train"]["left_out"] == len(rows)
    assert card["settings"]["learning_rate"] == 1e-2
    assert card["export"]["manifest"]["kind"] == "sft"
    assert {"torch", "trl", "peft"} <= set(card["versions"])

    base = load_model(settings.model)
    for folder in trained.saved.values():
        processor = load_processor(str(folder)) if folder.name == "merged" else load_processor(settings.model)
        fit(processor, small_backbone.template(thinking=True), small_backbone)
        form = small_backbone.template(thinking=True)
        assert (folder / "chat_template.jinja").read_text() == form.text
        assert json.loads((folder / "tokenizer_config.json").read_text())["response_template"] == form.response
        notes = read_notes(str(folder))
        assert notes is not None
        assert (notes["thinking"], notes["max_pixels"]) == (True, small_backbone.max_pixels)
        assert set(form.vllm_flags) <= set(notes["serve"])
    before = logits(base, processor, options, small_backbone)
    merged = logits(load_model(str(trained.saved["merged"])), processor, options, small_backbone)
    loaded = logits(load_model(str(trained.saved["adapter"])), processor, options, small_backbone)
    adapted = logits(PeftModel.from_pretrained(base, trained.saved["adapter"]), processor, options, small_backbone)
    assert torch.allclose(merged, adapted, atol=1e-4)
    assert torch.allclose(loaded, adapted, atol=1e-4)
    assert not torch.allclose(before, adapted, atol=1e-2)


@pytest.mark.parametrize("vision", [False, True], ids=["language", "vision-too"])
def test_only_the_adapter_changes(small_backbone: Backbone, options: dict[str, Any], vision: bool) -> None:
    import re

    settings = SftSettings(**options | {"max_steps": 2, "train_vision": vision})
    processor = load_processor(settings.model)
    fit(processor, small_backbone.template(thinking=True), small_backbone)
    rows = rows_of(open_export(settings.export, "sft", small_backbone.name), "train")
    trainer = make_trainer(settings, processor, {"train": Rows(rows)}, [])
    before = {name: weights.detach().clone() for name, weights in trainer.model.named_parameters()}
    trainer.train()
    changed = {name for name, weights in trainer.model.named_parameters() if not weights.equal(before[name])}
    assert changed == {name for name in before if "lora_" in name}
    places = {re.sub(r"^base_model\.model\.|\.lora_[AB].*$", "", name) for name in changed}
    language = {place for place in places if re.fullmatch(BACKBONES["qwen3-vl"].language, place)}
    assert len(language) == 2 * 7, "seven linear layers in each of two blocks"
    towers = {place for place in places - language if ".visual.blocks." in f".{place}"}
    assert places - language == towers
    assert bool(towers) is vision

    form = small_backbone.template(thinking=True)
    saved = save(trainer.model, processor, form, small_backbone, settings.output, "adapter")
    notes = read_notes(str(saved["adapter"]))
    assert notes is not None
    assert (notes["serve"] is None) is vision, "vLLM takes no adapter on the vision tower"


class Seen:
    """Which rows were asked for, in order; a signal may come with one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ids: list[str] = []
        self.stop_at = 0
        collate: Callable[..., dict[str, Any]] = EpisodeCollator.__call__

        def noted(collator: EpisodeCollator, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
            self.ids += [row["id"] for row in rows]
            if len(self.ids) == self.stop_at:
                os.kill(os.getpid(), signal.SIGINT)
            return collate(collator, rows)

        monkeypatch.setattr(EpisodeCollator, "__call__", noted)


def test_interrupted_and_resumed_it_is_the_same_training(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.torch import load_file

    seen = Seen(monkeypatch)
    options |= {"max_length": 1500, "max_steps": 7, "lora_dropout": 0.1}  # dropout: the random state matters too
    assert main(words(options, output=tmp_path / "whole")) == 0
    whole, seen.ids = seen.ids, []

    handler = signal.getsignal(signal.SIGINT)
    seen.stop_at = 3
    assert main(words(options)) == 1
    assert signal.getsignal(signal.SIGINT) is handler
    stopped = json.loads(next(options["output"].glob("checkpoint-*/trainer_state.json")).read_text())["global_step"]
    assert 2 <= stopped < 7
    assert f"stopped at step {stopped} of 7: --resume goes on" in capsys.readouterr().err
    first, seen.ids, seen.stop_at = seen.ids[:stopped], [], 0

    assert main(words(options)) == 2, "a fresh start would mix two trainings"
    assert "--resume goes on from it" in capsys.readouterr().err
    assert main([*words(options), "--resume"]) == 0
    assert first + seen.ids[: 7 - stopped] == whole[:7]
    assert losses(options["output"]) == losses(tmp_path / "whole")
    assert left_by(options["output"]) == left_by(tmp_path / "whole")
    one, other = (
        load_file(folder / "adapter" / "adapter_model.safetensors")
        for folder in (options["output"], tmp_path / "whole")
    )
    assert set(one) == set(other)
    assert all(one[name].equal(other[name]) for name in one)


def test_it_is_watched_by_its_curves_and_the_best_checkpoint_is_named(options: dict[str, Any]) -> None:
    settings = options | {"max_steps": 4, "evaluate": True, "evaluate_every": 1, "patience": 1, "learning_rate": 1e-3}
    trained = train(SftSettings(**settings | {"keep": 1}))
    said = left_by(options["output"])["curves"]
    assert [step for step, _ in said] == list(range(1, trained.steps + 1))
    assert {"loss", "token_accuracy", "grad_norm", "learning_rate", "eval_loss"} <= set(said[0][1])
    best = json.loads((options["output"] / "best.json").read_text())
    assert best["eval_loss"] == min(values["eval_loss"] for _, values in said)
    assert read_notes(str(options["output"] / best["checkpoint"])) is not None
    lake = lake_of(options["output"])
    manifest = lake.read_manifest("training")
    assert manifest is not None
    assert (lake.state(manifest), lake.parts("training", "trajectories")) == ("done", [])


def test_a_stopped_training_that_keeps_one_checkpoint_can_go_on(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best evaluation is an earlier one."""
    from trl import SFTTrainer

    log, stop = SFTTrainer.log, [2]

    def worse_each_time(trainer: Any, logs: dict[str, float], *more: Any) -> None:
        if "eval_loss" in logs:
            logs["eval_loss"] = float(trainer.state.global_step)
            if stop == [trainer.state.global_step]:
                os.kill(os.getpid(), signal.SIGINT)
        log(trainer, logs, *more)

    monkeypatch.setattr(SFTTrainer, "log", worse_each_time)
    options |= {"max_length": 1500, "max_steps": 5, "evaluate": True, "evaluate_every": 1, "keep": 1}
    assert main(words(options)) == 1
    assert {path.name for path in options["output"].glob("checkpoint-*")} == {"checkpoint-1", "checkpoint-3"}
    stop.clear()
    assert main([*words(options), "--resume"]) == 0
    assert [step for step, _ in left_by(options["output"])["curves"]] == [1, 2, 3, 4, 5]
    assert json.loads((options["output"] / "best.json").read_text())["checkpoint"] == "checkpoint-1"


def test_half_precision_and_checkpointed_gradients(options: dict[str, Any]) -> None:
    """What a GPU is given by default, tried on the CPU."""
    settings = SftSettings(
        **options | {"max_steps": 2, "max_length": 1000, "precision": "bf16", "gradient_checkpointing": "on"}
    )
    trained = train(settings)
    assert trained.finished
    assert all(map(math.isfinite, losses(settings.output)))


def copied(options: dict[str, Any], tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The export with another manifest."""
    folder = tmp_path / "export"
    shutil.copytree(options["export"], folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda manifest: manifest.update(schema_version=99), "schema version 99"),
        (lambda manifest: manifest.update(kind="rl"), "is an export for 'rl', not for sft"),
        (lambda manifest: manifest["backbone"].update(name="other"), "made for the backbone 'other'"),
        (lambda manifest: manifest["backbone"].update(max_pixels=7), "made for the max_pixels 7"),
    ],
)
def test_another_export_is_refused(
    options: dict[str, Any], tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    with pytest.raises(ExportError) as caught:
        train(SftSettings(**options | {"export": copied(options, tmp_path, change)}))
    assert message in str(caught.value)
    assert "gog export" in str(caught.value)
    assert not options["output"].exists()


def test_an_epoch_draws_the_mix_and_says_so(options: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    trained = train(SftSettings(**options | {"mix": {"direct": 0.5}, "max_steps": 1}))
    assert trained.finished
    card = json.loads((options["output"] / "run.json").read_text())
    rows = pq.read_table(next(options["export"].rglob("train-*.parquet"))).column("behaviour").to_pylist()
    drawn = len(mixed(rows, {"direct": 0.5}))
    assert drawn > len(rows)
    assert card["rows"]["train"]["trained"] == drawn
    assert f"an epoch draws {drawn} rows: direct " in "".join(capsys.readouterr())


def test_a_mix_of_more_than_everything_is_refused() -> None:
    with pytest.raises(ValueError, match="the shares of mix add up to more than 1"):
        SftSettings.model_validate({"export": "e", "output": "o", "model": "m", "mix": {"direct": 0.6, "gaze": 0.6}})


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"max_length": 300}, "no row of .* has at most 300 tokens: raise max_length"),
        ({"patience": 2}, "patience counts evaluations: set evaluate, on an export with validation rows"),
        ({"resume": "last"}, "has no checkpoint to resume from: leave --resume out"),
        ({"resume": "nowhere"}, "nowhere is no checkpoint"),
        ({"report": "wandb"}, "report: wandb needs its package: pip install wandb"),
        ({"model": "/nowhere"}, "/nowhere has no config of a model"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(stages, "find_spec", lambda name: None)
    with pytest.raises(TrainingError, match=message):
        train(SftSettings(**options | more))


def test_patience_needs_rows_to_evaluate(options: dict[str, Any], tmp_path: Path) -> None:
    export = copied(options, tmp_path, lambda manifest: manifest["splits"]["validation"].update(files=[], rows=0))
    settings = SftSettings(**options | {"export": export, "evaluate": True, "patience": 2})
    with pytest.raises(TrainingError, match="patience counts evaluations"):
        train(settings)


def test_a_batch_that_devices_cannot_share_is_refused(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(TrainingError, match="batch_size 8 is no multiple of 3 devices"):
        train(SftSettings(**options | {"batch_size": 8}))
    assert not options["output"].exists()


def test_a_model_of_another_family_is_refused(
    small_backbone: Backbone, options: dict[str, Any], checkpoints: Folders
) -> None:
    (other,) = set(checkpoints) - {small_backbone.name}
    with pytest.raises(ExportError, match=rf"made for the backbone '{small_backbone.name}', wanted is '{other}'"):
        train(SftSettings(**options | {"model": str(checkpoints[other])}))


def test_a_tokenizer_without_the_special_tokens_is_refused(
    small_backbone: Backbone, options: dict[str, Any], checkpoints: Folders, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    tiny_models.processor(small_backbone.name, without=("<|im_end|>",)).save_pretrained(folder)
    shutil.copy(checkpoints[small_backbone.name] / "config.json", folder)
    with pytest.raises(TrainingError, match=r"no single token for <\|im_end\|>: start from an instruct"):
        train(SftSettings(**options | {"model": str(folder)}))

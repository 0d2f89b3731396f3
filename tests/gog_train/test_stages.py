"""What both stages share: the processes of a launcher, precision, the adapter, the model to start from."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_models

from gog.transforms.dialect.backbones import BACKBONES
from gog_train import stages
from gog_train.processors import load_model, load_processor
from gog_train.settings import TrainingError
from gog_train.sft import SftSettings
from gog_train.stages import adapter, check_packages, common_arguments, metrics_of, ready, say, starting_model


def settings_of(model: Path, output: Path, **changes: Any) -> SftSettings:
    """Settings of a training that needs no export."""
    return SftSettings.model_validate({"model": str(model), "export": "e", "output": output} | changes)


def adapted(settings: SftSettings) -> Any:
    """The model to start from with its adapter, as a trainer makes it."""
    from peft import get_peft_model

    return get_peft_model(
        starting_model(settings, load_processor(settings.model)), adapter(settings, BACKBONES["qwen3-vl"])
    )


def weights_of(model: Any) -> dict[str, Any]:
    return {name: weights.detach() for name, weights in model.named_parameters() if "lora_A" in name}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_models.checkpoint("qwen3-vl", tmp_path / "model")


def test_the_seed_alone_decides_the_adapters_first_weights(model: Path, tmp_path: Path) -> None:
    import torch

    settings = settings_of(model, tmp_path / "out")
    torch.manual_seed(11)
    first = weights_of(adapted(settings))
    torch.manual_seed(12)
    second = weights_of(adapted(settings))
    other = weights_of(adapted(settings.model_copy(update={"seed": 1})))
    assert first
    assert all(weights.equal(second[name]) for name, weights in first.items())
    assert not any(weights.equal(other[name]) for name, weights in first.items())


def test_an_adapter_to_start_from_is_merged_and_kept(model: Path, tmp_path: Path) -> None:
    """The second adapter on its base is the model that was trained, not the second adapter on the first one's base."""
    import torch

    first = adapted(settings_of(model, tmp_path / "first"))
    for name, weights in first.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.5)
    first.save_pretrained(tmp_path / "first" / "adapter")
    load_processor(str(model)).save_pretrained(tmp_path / "first" / "adapter")

    second = adapted(settings_of(tmp_path / "first" / "adapter", tmp_path / "second"))
    second.save_pretrained(tmp_path / "second" / "adapter")
    tokens = torch.arange(5, 25).reshape(1, -1)
    with torch.no_grad():
        trained = second.eval()(input_ids=tokens).logits
        loaded = load_model(str(tmp_path / "second" / "adapter")).eval()(input_ids=tokens).logits
        plain = load_model(str(model)).eval()(input_ids=tokens).logits
    assert torch.allclose(loaded, trained, atol=1e-4)
    assert not torch.allclose(loaded, plain, atol=1e-2)


def test_only_the_first_process_speaks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    say("one process")
    monkeypatch.setenv("RANK", "1")
    say("the second one")
    assert capsys.readouterr().err == "one process\n"


def test_a_setting_needs_its_package() -> None:
    settings = settings_of(Path("m"), Path("o"))
    check_packages(settings)
    for change, message in (
        ({"report": "wandb"}, "report: wandb needs its package: pip install wandb"),
        ({"attention": "flash_attention_2"}, "pip install flash-attn .*or set `attention: sdpa`"),
    ):
        with pytest.raises(TrainingError, match=message):
            check_packages(settings.model_copy(update=change))


@pytest.mark.parametrize(("precision", "gpu"), [("fp32", True), ("bf16", False)])
def test_flash_attention_needs_a_gpu_and_bf16(precision: str, gpu: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(stages, "find_spec", lambda name: object())
    settings = settings_of(Path("m"), Path("o"), attention="flash_attention_2", precision=precision)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    with pytest.raises(TrainingError, match="on a GPU in bf16 alone: set `precision: bf16` or `attention: sdpa`"):
        check_packages(settings)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    check_packages(settings.model_copy(update={"precision": "bf16"}))


def test_a_whole_model_is_trained_in_single_precision_without_its_vision_tower(model: Path, tmp_path: Path) -> None:
    """bf16 has no digits for what a step adds to a weight; what joins picture and text stays, too."""
    import torch

    def trained(**changes: Any) -> dict[str, Any]:
        settings = settings_of(model, tmp_path / "out", tune="full", precision="bf16", **changes)
        loaded = starting_model(settings, None)
        assert adapter(settings, BACKBONES["qwen3-vl"]) is None
        return {name: weight for name, weight in loaded.named_parameters() if weight.requires_grad}

    text, all_of_it = trained(), trained(train_vision=True)
    assert {weight.dtype for weight in text.values()} == {torch.float32}
    assert text
    assert not [name for name in text if "visual" in name]
    assert text.keys() == {name for name in all_of_it if "visual" not in name}
    assert len(all_of_it) > len(text)


@pytest.mark.parametrize(
    ("precision", "gpu", "has", "wanted"),
    [
        ("auto", False, False, False),
        ("auto", True, False, False),
        ("auto", True, True, True),
        ("bf16", False, False, True),
        ("fp32", True, True, False),
    ],
)
def test_precision_follows_the_device(
    monkeypatch: pytest.MonkeyPatch, precision: str, gpu: bool, has: bool, wanted: bool
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: has)
    arguments = common_arguments(settings_of(Path("m"), Path("o"), precision=precision))
    assert arguments["bf16"] is wanted
    assert (arguments["use_cpu"], arguments["gradient_checkpointing"]) == (not gpu, gpu)


def test_bf16_is_refused_where_the_gpu_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    with pytest.raises(TrainingError, match="precision: fp32"):
        common_arguments(settings_of(Path("m"), Path("o"), precision="bf16"))


@pytest.mark.parametrize(
    ("fsdp", "zero", "fits"), [(False, None, True), (False, 2, True), (False, 3, False), (True, None, False)]
)
def test_sharded_weights_are_refused(fsdp: bool, zero: int | None, fits: bool) -> None:
    from transformers import TrainerCallback

    from gog_train.curves import Curves

    removed: list[Any] = []
    plugin = None if zero is None else SimpleNamespace(zero_stage=zero)
    accelerator = SimpleNamespace(state=SimpleNamespace(deepspeed_plugin=plugin))
    curves = Curves(None, "")
    handler = SimpleNamespace(callbacks=[TrainerCallback(), curves])
    trainer = SimpleNamespace(
        accelerator=accelerator, is_fsdp_enabled=fsdp, remove_callback=removed.append, callback_handler=handler
    )
    if fits:
        assert ready(trainer) is trainer
        assert len(removed) == 2
        assert handler.callbacks[0] is curves, "who reports after them gets what they add"
    else:
        with pytest.raises(TrainingError, match="ZeRO-2"):
            ready(trainer)


def test_the_last_of_every_number_counts() -> None:
    history: list[dict[str, Any]] = [{"loss": 3.0, "step": 1}, {"loss": 2.0, "note": "text"}, {"eval_loss": 5}]
    assert metrics_of({"train_runtime": 7}, history) == {
        "eval_loss": 5.0,
        "loss": 2.0,
        "step": 1.0,
        "train_runtime": 7.0,
    }


def test_one_pattern_for_all_families_is_each_ones_own() -> None:
    """By the names of the layers of transformers' classes; of a model that is refused it is not asked."""
    import re

    import torch
    from transformers import CONFIG_MAPPING, AutoModelForImageTextToText

    for family in map(BACKBONES.__getitem__, BACKBONES):
        text = {"text_config": {"model_type": family.text_types[-1]}} if family.text_types else {}
        with torch.device("meta"):
            model = AutoModelForImageTextToText.from_config(CONFIG_MAPPING[family.model_type](**text))
        layers = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
        ends = tuple(f".{weight}" for weight in family.experts)
        named = {name for name in layers if f"{name}.weight".endswith(ends)}
        for own, union, more in ((family.language, stages.LANGUAGE, named), (family.vision, stages.VISION, set[str]())):
            if not own:  # the tower takes no adapter
                continue
            met = {name for name in layers if re.fullmatch(own, name)}
            assert met, family.name
            assert met <= {name for name in layers if re.fullmatch(union, name)} <= met | more, family.name
    with pytest.raises(AttributeError, match="no attribute 'LAYERS'"):
        _ = stages.LAYERS

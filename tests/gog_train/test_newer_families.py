"""Families whose layers are unlike Qwen3-VL's: linear attention, and experts that are slices of one weight."""

import re
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from families import GLM, NEWER, SQUARE
from PIL import Image
from training import module_of, small, trl_export

from gog.pipelines.config.config import Config
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.export.target import Target
from gog_train.checkpoints import read_notes, save
from gog_train.memory import shape_of
from gog_train.processors import backbone_of, check, fit, load_model
from gog_train.settings import TrainingError
from gog_train.sft import SftSettings, train
from gog_train.stages import adapter, check_family
from gog_train.vllm_engine import merged_weights

newer = pytest.mark.parametrize("name", NEWER)
all_others = pytest.mark.parametrize("name", [*NEWER, *SQUARE, *GLM])


def settings(**more: Any) -> SftSettings:
    return SftSettings.model_validate({"model": "m", "export": "e", "output": "o", **more})


@pytest.mark.parametrize("name", [*NEWER, *GLM])
def test_all_of_a_real_models_blocks_is_met_and_nothing_else(name: str) -> None:
    """The layers of the config's own size, by the names of transformers' class, without its weights."""
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForImageTextToText

    family = BACKBONES[name]
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(CONFIG_MAPPING[family.model_type]())
    layers = [one for one, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    pattern = re.compile(family.layers(vision=False))
    # A gate decides which experts are asked, or how much of the shared one is taken: it is no transformation.
    blocks = [one for one in layers if ".language_model.layers." in one and not one.endswith("expert_gate")]
    assert blocks
    # What no pattern can name to PEFT is named as a weight.
    weights = tuple(f".{weight}" for weight in family.experts)
    assert [one for one in layers if pattern.fullmatch(one) or f"{one}.weight".endswith(weights)] == blocks
    tower = [one for one in layers if ".visual.blocks." in one]
    assert [one for one in layers if re.fullmatch(family.vision, one)] == (tower if family.vision else [])
    fused = {one.split(".", 4)[-1] for one, weight in model.named_parameters() if weight.dim() == 3}
    assert {one for one in fused if "expert" in one} == {one for one in family.experts if not one.endswith(".weight")}


@newer
@pytest.mark.parametrize("thinking", [True, False])
def test_pictures_and_chats_are_those_of_qwen3_vl(name: str, thinking: bool) -> None:
    """By the image processor that transformers has for the family, with the numbers of the config's vision tower."""
    from transformers import CONFIG_MAPPING

    family = BACKBONES[name]
    vision = CONFIG_MAPPING[family.model_type]().vision_config
    assert family.factor == vision.patch_size * vision.spatial_merge_size
    processor = tiny_models.processor(name)
    template = family.template(thinking=thinking)
    assert template == BACKBONES["qwen3-vl"].template(thinking=thinking)
    fit(processor, template, family)
    check(processor, family, [Image.new("RGB", size) for size in ((31, 500), (1024, 768), (5000, 40))])


@all_others
def test_the_adapter_learns_and_comes_back_merged(name: str, tmp_path: Path) -> None:
    import torch
    from peft import get_peft_model

    folder = tiny_models.checkpoint(name, tmp_path / "base")
    family = backbone_of(str(folder))
    assert family.name == name
    processor = tiny_models.processor(name, family.template(thinking=True).text)
    content = [{"type": "image", "image": Image.new("RGB", (90, 60), (200, 30, 30))}, {"type": "text", "text": "What?"}]
    batch = processor.apply_chat_template(
        [[{"role": "user", "content": content}]], tokenize=True, return_dict=True, return_tensors="pt"
    )
    base = tiny_models.model(name)
    base.config._name_or_path = base.name_or_path = str(folder)
    before = {one: weight.clone() for one, weight in base.state_dict().items()}
    model = get_peft_model(base, adapter(settings(), family))
    assert shape_of(settings(model=str(folder))).trained == sum(
        weight.numel() for weight in model.parameters() if weight.requires_grad
    )
    optimizer = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=5.0)
    for _ in range(2):  # the second step moves what the first one's zeros kept still
        model(**batch, labels=batch["input_ids"]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        wanted = model(**batch).logits
    sent = dict(merged_weights(model))
    moved = {one for one in sent if not torch.equal(sent[one], before[one])}
    assert all(any(one.endswith(expert) for one in moved) for expert in family.experts)
    assert any("linear_attn.out_proj" in one for one in moved) is name.startswith("qwen3.5")
    assert all("language_model.layers" in one and "norm" not in one for one in moved)
    fresh = tiny_models.model(name)
    fresh.load_state_dict(sent, strict=False)
    with torch.no_grad():
        assert torch.allclose(fresh(**batch).logits, wanted, atol=1e-4)
    saved = save(model, processor, family.template(thinking=True), family, tmp_path / "out", "both")
    notes = {what: read_notes(str(place)) or {} for what, place in saved.items()}
    with torch.no_grad():
        assert torch.allclose(load_model(str(saved["adapter"]))(**batch).logits, wanted, atol=1e-4)
    assert (notes["adapter"]["serve"] is None) is bool(family.experts)
    assert notes["merged"]["serve"]


def test_the_tower_of_one_takes_no_adapter() -> None:
    with pytest.raises(TrainingError, match="no adapter goes on the vision tower of a glm4v-moe: leave it out, or set"):
        check_family(settings(train_vision=True), BACKBONES["glm4v-moe"])


def test_experts_take_no_dropout() -> None:
    with pytest.raises(TrainingError, match="set `lora_dropout: 0`"):
        check_family(settings(lora_dropout=0.1), BACKBONES["qwen3.5-moe"])
    check_family(settings(lora_dropout=0.1), BACKBONES["qwen3.5"])


@all_others
@pytest.mark.parametrize("form", ["verl", "ms-swift", "llama-factory"])
def test_what_no_trainer_was_seen_to_read_is_refused(name: str, form: str) -> None:
    with pytest.raises(ValueError, match=f"no trainer of {form} was seen to read {name}: use --format trl"):
        Target(form, BACKBONES[name])


@pytest.mark.slow
@all_others
def test_sft_of_an_export_for_it(name: str, tiny: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_of(name), small(name))
    options = {
        "model": str(tiny_models.checkpoint(name, tmp_path / "base", spread=0.2)),
        "export": trl_export(tiny, "sft", small(name), tmp_path),
        "output": tmp_path / "out",
    }
    more = {"batch_size": 1, "learning_rate": 1e-2, "warmup": 0.0, "workers": 0, "log_every": 1, "max_steps": 6}
    done = train(settings(**options, **more, evaluate=False, save="both"))
    assert (done.finished, done.steps, set(done.saved)) == (True, 6, {"adapter", "merged"})
    assert done.metrics["grad_norm"] > 0

"""What vLLM is given under TRL's trainer: prompts, a budget of pixels, weights; and what ratios leave of a batch."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gog.transforms.dialect.backbones import BACKBONES
from gog_train.settings import TrainingError
from gog_train.vllm_engine import (
    Span,
    check_budget,
    effective_share,
    fitted,
    merged_weights,
    one_token_each,
    tokens_by_engine,
    tokens_by_server,
)

PAD = 7
ALONE = Span((), PAD, (), PAD)
QWEN = BACKBONES["qwen2.5-vl"]


@given(st.lists(st.tuples(st.lists(st.integers(8, 20), max_size=4), st.integers(1, 9)), max_size=5))
def test_an_image_is_one_token_and_the_rest_is_as_it_was(parts: list[tuple[list[int], int]]) -> None:
    """Also where one image follows another at once."""
    expanded = [token for text, size in parts for token in (*text, *[PAD] * size)]
    wanted = [token for text, _ in parts for token in (*text, PAD)]
    assert one_token_each(expanded, [size for _, size in parts], ALONE) == wanted


def test_what_stands_around_an_image_has_to_be_its_span() -> None:
    span = Span((1,), PAD, (2,), PAD)
    assert one_token_each([9, 1, PAD, PAD, 2, 9], [2], span) == [9, PAD, 9]
    for ids in ([9, PAD, PAD, 2], [PAD, PAD, 2], [1, PAD, PAD], [1, PAD, PAD, 9]):
        with pytest.raises(TrainingError, match="not as its processor writes it"):
            one_token_each(ids, [2], span)


def test_budgets_are_compared_by_tokens() -> None:
    check_budget(lambda image: QWEN.visual_tokens(*image.size), QWEN)
    with pytest.raises(TrainingError, match=r'vLLM makes 16 tokens of a picture of 64x48.*"longest_edge": 1003520'):
        check_budget(lambda image: 16, QWEN)


def test_tokens_are_read_off_an_engine_and_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    from trl.generation import vllm_generation

    class Engine:
        def generate(self, prompts: Any, params: Any, use_tqdm: bool) -> Any:
            assert params.values["max_tokens"] == 1
            (prompt,) = prompts
            assert prompt["prompt_token_ids"] == [PAD]
            return [SimpleNamespace(prompt_token_ids=[PAD] * prompt["multi_modal_data"]["image"].width)]

    params = lambda **values: SimpleNamespace(values=values)  # noqa: E731
    monkeypatch.setattr(vllm_generation, "SamplingParams", params, raising=False)
    picture = Image.new("RGB", (12, 5))
    assert tokens_by_engine(Engine(), ALONE, picture) == 12
    features = {"mm_placeholders": {"image": [{"offset": 3, "length": 9}]}}
    server = SimpleNamespace(image_features=lambda images: [features])
    assert [tokens_by_server(server, span, picture) for span in (ALONE, Span((1,), PAD, (2,), PAD))] == [9, 7]


def test_an_engine_that_trl_makes_has_the_exports_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    from trl.generation import vllm_generation

    def plain(**arguments: Any) -> Any:
        return arguments

    monkeypatch.setattr(vllm_generation, "LLM", plain, raising=False)
    with fitted(QWEN, 5, "float32"):
        made = vllm_generation.LLM(model="m")
    assert made == {
        "model": "m",
        "mm_processor_kwargs": {"size": {"shortest_edge": QWEN.min_pixels, "longest_edge": QWEN.max_pixels}},
        "limit_mm_per_prompt": {"image": 5, "video": 0},
        "dtype": "float32",
    }
    assert vllm_generation.LLM is plain


def test_an_engine_that_does_not_start_and_a_server_that_is_not_there_are_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from trl.generation import vllm_generation

    def engine(**arguments: Any) -> Any:
        raise ValueError("Free memory on device\nis less than desired GPU memory utilization")

    def client(**arguments: Any) -> Any:
        raise ConnectionError("The vLLM server can't be reached at http://127.0.0.1:9")

    monkeypatch.setattr(vllm_generation, "LLM", engine, raising=False)
    monkeypatch.setattr(vllm_generation, "VLLMClient", client, raising=False)
    with fitted(QWEN, 5, "float32"):
        with pytest.raises(TrainingError, match=r"does not start: Free memory on device is less .*`vllm_memory`"):
            vllm_generation.LLM(model="m")
        with pytest.raises(TrainingError, match=r"can't be reached at http://127\.0\.0\.1:9; start it with"):
            vllm_generation.VLLMClient(base_url="http://127.0.0.1:9")
    assert (vllm_generation.LLM, vllm_generation.VLLMClient) == (engine, client)


def adapted(step: float) -> Any:
    """A bf16 layer with an adapter in single precision, moved by `step`."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    inner = torch.nn.Module()
    inner.q_proj = torch.nn.Linear(3584, 64, bias=False)
    inner.q_proj.weight.data.normal_(0, 0.02)
    inner.other = torch.nn.Linear(4, 4)
    model = get_peft_model(inner.to(torch.bfloat16), LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj"]))
    with torch.no_grad():
        b = model.base_model.model.q_proj.lora_B["default"].weight
        b.copy_(torch.randn_like(b).sign() * step)
    return model


def test_a_sync_never_moves_the_base() -> None:
    import torch

    model = adapted(1e-3)
    layer = model.base_model.model.q_proj
    before = layer.base_layer.weight.detach().clone()
    for _ in range(50):
        with torch.no_grad():
            layer.lora_B["default"].weight.add_(1e-4)
        names = [name for name, _ in merged_weights(model)]
    assert torch.equal(layer.base_layer.weight, before)
    assert sorted(names) == ["other.bias", "other.weight", "q_proj.weight"]


def test_what_is_synced_is_the_sum_rounded_once() -> None:
    import torch

    model = adapted(1e-3)
    layer = model.base_model.model.q_proj
    delta = 2.0 * (layer.lora_B["default"].weight @ layer.lora_A["default"].weight)
    (weight,) = [weight for name, weight in merged_weights(model) if name == "q_proj.weight"]
    assert torch.equal(weight, (layer.base_layer.weight.float() + delta).to(torch.bfloat16))
    names = dict(merged_weights(model, lambda name: f"model.{name}"))
    assert torch.equal(names["model.other.weight"], model.base_model.model.other.weight)


def test_at_the_default_rate_what_reaches_the_rollouts_is_what_was_learned() -> None:
    """After 100 steps that agree; at the paper's rate for whole models it is mostly rounding."""
    import torch

    from gog_train.grpo_settings import GrpoSettings

    def likeness(rate: float) -> float:
        model = adapted(rate * 100)
        layer = model.base_model.model.q_proj
        delta = 2.0 * (layer.lora_B["default"].weight @ layer.lora_A["default"].weight)
        (weight,) = [weight for name, weight in merged_weights(model) if name == "q_proj.weight"]
        moved = weight.float() - layer.base_layer.weight.float()
        return float(torch.nn.functional.cosine_similarity(moved.flatten(), delta.detach().flatten(), dim=0))

    settings = GrpoSettings.model_validate({"model": "m", "export": "e", "output": "o"})
    assert likeness(settings.rate) > 0.95
    assert likeness(settings.model_copy(update={"tune": "full"}).rate) < 0.6


def test_the_share_that_ratios_leave() -> None:
    import torch

    alone = SimpleNamespace(gather=lambda tensor: tensor)
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    assert effective_share(torch.ones(2, 4), mask, alone) == 1
    half = torch.tensor([[1.0, 0, 1, 0], [1, 0, 9, 9]])
    assert effective_share(half, mask, alone) == 0.5
    assert effective_share(torch.tensor([[0.0], [0.0]]), mask, alone) == 0
    assert effective_share(torch.tensor([[2.0], [0.0]]), mask, alone) == pytest.approx(4 / 6)
    assert effective_share(torch.ones(2, 4), mask * 0, alone) == 1


def test_of_long_rollouts_token_ratios_leave_what_sequence_ratios_lose() -> None:
    """Noise of 0.02 a token between vLLM and the trainer, at 6,000 tokens."""
    import torch

    alone = SimpleNamespace(gather=lambda tensor: tensor)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(200, 6000, generator=generator) * 0.02 - 0.0002
    mask = torch.ones_like(noise)
    by_token, by_sequence = noise.exp().clamp(max=2.0), noise.sum(1, keepdim=True).exp()
    assert effective_share(by_token, mask, alone) > 0.99
    assert effective_share(by_sequence * (by_sequence <= 3), mask, alone) < 0.6

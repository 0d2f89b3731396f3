"""Replies of a checkpoint: drawn by their own seeds, parsed by the template, within their budgets."""

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_models
from checkpoints import saved
from fakes import HEIGHT, WIDTH, called, picture, sha
from training import small

from gog.schemas import WHOLE, EpisodeImage, ImagePart, Message, TextPart
from gog.transforms.dialect.backbones import Backbone
from gog.transforms.episode.machine import EpisodeSettings, offered_tools, start, system_prompt
from gog.transforms.images import sha256_hex
from gog.transforms.services.protocols import ChatRequest, Sampling
from gog_train.generate import Generator, Prompt, PromptError, _drawn, open_generator
from gog_train.processors import fit
from gog_train.settings import TrainingError

IMAGE = sha256_hex(picture())
IMAGES = {IMAGE: picture()}


def generator(backbone: Backbone, *, thinking: bool = False, seed: int = 0) -> Generator:
    form, processor = backbone.template(thinking=thinking), tiny_models.processor(backbone.name)
    fit(processor, form, backbone)
    return Generator(tiny_models.model(backbone.name, seed=seed, spread=0.3), processor, form, backbone)


def asked(sampling: Sampling, index: int = 0, *, turns: int = 1) -> ChatRequest:
    """An episode; in its second turn there is an image in a tool's result too."""
    settings = EpisodeSettings()
    image = EpisodeImage(sha256=IMAGE, width=WIDTH, height=HEIGHT, box=WHOLE)
    messages = start(settings, "What flag is it?", [image], system_prompt(settings)[0]).messages
    if turns > 1:
        result = Message(role="tool", content=(ImagePart(image=IMAGE), TextPart(text="a crop")), tool_call_id="c")
        messages = (*messages, called("gaze", {"bbox_2d": [1, 2, 300, 400]}, think="Look.", call_id="c"), result)
    return ChatRequest(messages, offered_tools(settings), sampling, index)


def plain(text: str, **sampling: Any) -> ChatRequest:
    return ChatRequest((Message(role="user", content=text),), (), Sampling(**sampling))


def test_a_batch_replies_as_each_alone(chat_backbone: Backbone) -> None:
    made = generator(chat_backbone)
    requests = [
        asked(Sampling(1.0, 0.9, 12), 3, turns=2),
        asked(Sampling(0.7, 1.0, 7), 3),
        plain("hi", temperature=0.0, max_tokens=4),
        asked(Sampling(1.0, 0.9, 12), 4, turns=2),
    ]
    prompts = [made.prompt(request, IMAGES) for request in requests]
    together = made.replies(prompts)
    assert together == [made.replies([prompt])[0] for prompt in prompts]
    assert together[0].message != together[3].message, "another sample is another draw"
    assert [reply.prompt_tokens for reply in together] == [prompt.tokens for prompt in prompts]
    for reply, request in zip(together, requests, strict=True):
        assert 1 <= reply.completion_tokens <= request.sampling.max_tokens
        assert (reply.finish_reason == "length") <= (reply.completion_tokens == request.sampling.max_tokens)


def test_without_temperature_the_likeliest_token_is_taken(chat_backbone: Backbone) -> None:
    import torch

    made = generator(chat_backbone)
    prompt = made.prompt(asked(Sampling(0.0, 1.0, 1)), IMAGES)
    with torch.no_grad():
        logits = made._model(**prompt.inputs).logits[0, -1]
    logits[made._visual] = -math.inf
    likeliest = made._processor.tokenizer.decode([int(logits.argmax())])
    reply = made.replies([prompt])[0]
    assert reply.message == made.read(likeliest, prompt.text, 0)


def rows(count: int, **sampling: Any) -> list[Prompt]:
    return [Prompt({}, "", 0, Sampling(**sampling), seed) for seed in range(count)]


@pytest.mark.parametrize(
    ("sampling", "shares"),
    [
        ({"temperature": 1.0}, (0.5, 0.3, 0.2, 0)),
        ({"temperature": 0.5}, (0.25 / 0.38, 0.09 / 0.38, 0.04 / 0.38, 0)),
        ({"temperature": 1.0, "top_p": 0.7}, (0.625, 0.375, 0, 0)),
        ({"temperature": 1.0, "top_p": 0.0}, (1, 0, 0, 0)),
        ({"temperature": 0.0}, (1, 0, 0, 0)),
    ],
)
def test_draws_have_the_shares_that_sampling_asks_for(sampling: dict[str, float], shares: tuple[float, ...]) -> None:
    import torch

    count = 4000
    logits = torch.tensor([0.5, 0.3, 0.2, 9.0]).log().repeat(count, 1)
    draw = _drawn(rows(count, **sampling), [3], "cpu")
    found = Counter(draw(None, logits).argmax(-1).tolist())
    for token, share in enumerate(shares):
        assert found[token] / count == pytest.approx(share, abs=4 * math.sqrt(0.25 / count) if 0 < share < 1 else 0)


@pytest.mark.parametrize("thinking", [False, True])
def test_what_the_template_writes_is_read_back(chat_backbone: Backbone, thinking: bool) -> None:
    made = generator(chat_backbone, thinking=thinking)
    tokenizer = made._processor.tokenizer
    before = made.prompt(asked(Sampling()), IMAGES).text
    for turn in (
        called("gaze", {"bbox_2d": [1, 2, 300, 400], "label": "Flagge: ß"}, think="Look." if thinking else None),
        Message(role="assistant", content="<answer>Nairobi</answer>", reasoning_content="So." if thinking else None),
    ):
        chat = {"role": "assistant", "content": turn.text, "reasoning_content": turn.reasoning_content or ""}
        calls = [{"type": "function", "function": call.function.model_dump()} for call in turn.tool_calls]
        whole = tokenizer.apply_chat_template(
            [{"role": "user", "content": "x"}, chat | ({"tool_calls": calls} if calls else {})], tokenize=False
        )
        said = whole.partition(made._form.response["start_anchor"])[2]
        said = said.removeprefix("<think>\n") if made._form.opened else said
        read = made.read(said.rstrip("\n"), before, 2)
        assert (read.text, read.reasoning_content) == (turn.text, turn.reasoning_content)
        assert [call.function.name for call in read.tool_calls] == [call.function.name for call in turn.tool_calls]
        for ours, theirs in zip(read.tool_calls, turn.tool_calls, strict=True):
            assert json.loads(ours.function.arguments) == json.loads(theirs.function.arguments)
            assert ours.id == "call_2_0"


@pytest.mark.parametrize("call", ['{"name": bad', '{"x": 1}', '{"name": 3, "arguments": {}}', "[]"])
def test_what_is_no_call_stays_text_for_the_episode_to_judge(call: str) -> None:
    made = generator(small("qwen2.5-vl"))
    text = f"<tool_call>\n{call}\n</tool_call>"
    assert made.read(f"{text}<|im_end|>", "", 0) == Message(role="assistant", content=text)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (plain("three <|image_pad|> and no image"), "1 image tokens where their 0 images make 0"),
        (replace(plain("x"), response_schema={"type": "object"}), "policy is not supported as a judge"),
        (ChatRequest((Message(role="user", content=(ImagePart(image=sha("x")),)),)), "an image cannot be read"),
    ],
)
def test_what_no_model_takes_is_refused(request_: ChatRequest, said: str) -> None:
    made = generator(small("qwen3-vl"))
    with pytest.raises(PromptError, match=said):
        made.prompt(request_, {sha("x"): b"no image"})


def test_the_context_is_not_left() -> None:
    made = generator(small("qwen3-vl"))
    prompt = made.prompt(plain("x" * 30, temperature=0.0, max_tokens=50), {})
    made.context = prompt.tokens + 3
    assert made.replies([prompt])[0].completion_tokens <= 3
    made.context = prompt.tokens
    with pytest.raises(PromptError, match=f"maximum context length is {prompt.tokens} tokens"):
        made.prompt(plain("x" * 30), {})


def test_a_saved_folder_is_opened_as_it_was_trained(backbone: str, tmp_path: Path) -> None:
    made = open_generator(saved(tmp_path / "m", backbone, thinking=True), "cpu")
    assert made._backbone == small(backbone)
    assert made._form.thinking
    prompt = made.prompt(asked(Sampling(0.0, 1.0, 2)), IMAGES)
    assert made.replies([prompt])[0].completion_tokens >= 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"backbone": "qwen9"}, "save the model again"),
        ({"max_pixels": None}, "save the model again"),
        ({"backbone": "qwen3-vl"}, "the model beside it is of another family"),
    ],
)
def test_notes_that_do_not_fit_are_refused(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", "qwen2.5-vl", **changes)
    with pytest.raises(TrainingError, match=said):
        open_generator(folder, "cpu")


def test_a_folder_without_notes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"has no gog\.json"):
        open_generator(tmp_path, "cpu")


def test_the_checkpoints_own_sampling_is_left_out(small_backbone: Backbone) -> None:
    made = generator(small_backbone)
    kept = made._model.generation_config
    own = SimpleNamespace(**kept.to_dict())
    assert not getattr(own, "repetition_penalty", None)
    assert not getattr(own, "top_k", None)

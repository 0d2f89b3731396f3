"""The chat template: its text is golden, longer chats begin with shorter ones, and what it writes is parsed back."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from families import CHATS, FAMILIES, GLM
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gog.transforms.dialect.backbones import BACKBONES, Template
from gog.transforms.episode.machine import EpisodeSettings, offered_tools

GOLDEN = Path(__file__).parent / "golden"
BEGIN, END = "⟦", "⟧"
"""Around what is trained, in the golden files."""

Messages = list[dict[str, Any]]
both = pytest.mark.parametrize("thinking", [True, False], ids=["thinking", "plain"])


@pytest.fixture(params=CHATS)
def backbone(request: pytest.FixtureRequest) -> str:
    """All that write their chats in a way of their own."""
    return str(request.param)


def call(name: str, arguments: str, **more: Any) -> dict[str, Any]:
    return {"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}, **more}


IMAGE = {"type": "image"}
CHAT: Messages = [
    {"role": "system", "content": "Look, then answer."},
    {
        "role": "user",
        "content": [IMAGE, {"type": "text", "text": "Image 0 (90 x 60 pixels).\nQuestion: Wessen Flagge? 🇱🇮"}],
    },
    {
        "role": "assistant",
        "content": "",
        "reasoning_content": "The one on the left.",
        "tool_calls": [call("gaze", '{"bbox_2d": [1, 2, 30, 40], "label": "\\"left\\" <flag>", "image": 0}')],
        "train": False,
    },
    {
        "role": "tool",
        "content": [IMAGE, {"type": "text", "text": "Image 1: the crop (29 x 38 pixels).\n[1] Flag of Haiti"}],
        "tool_call_id": "c",
    },
    {
        "role": "assistant",
        "content": "",
        "reasoning_content": "Evidence: off target. Both at once.",
        "tool_calls": [call("image_search", "{}"), call("text_search", '{"query": "Fürst"}')],
        "train": True,
    },
    {"role": "tool", "content": [{"type": "text", "text": "nothing"}], "tool_call_id": "c"},
    {"role": "tool", "content": "One call a turn.", "tool_call_id": "c"},
    {"role": "assistant", "content": "Let me think aloud.", "tool_calls": [call("image_search", "{}")], "train": True},
    {"role": "tool", "content": [IMAGE, IMAGE, {"type": "text", "text": "two"}], "tool_call_id": "c"},
    {"role": "assistant", "content": "<answer>Liechtenstein</answer>", "reasoning_content": "It is clear.\nYes."},
]


def tools(name: str) -> list[dict[str, Any]]:
    return list(offered_tools(EpisodeSettings(frame=BACKBONES[name].frame)))


def rendered(form: Template, messages: Messages, offered: Any = None, prompt: bool = False) -> tuple[str, str]:
    """The text, and the text with marks around what is trained."""
    from transformers.utils.chat_template_utils import render_jinja_template

    (text,), (spans,) = render_jinja_template(
        [messages],
        tools=offered,
        chat_template=form.text,
        return_assistant_tokens_mask=True,
        add_generation_prompt=prompt,
    )
    marked, at = "", 0
    for begin, end in spans:
        marked += text[at:begin] + BEGIN + text[begin:end] + END
        at = end
    return text, marked + text[at:]


@both
def test_text_is_golden(backbone: str, thinking: bool) -> None:
    form = BACKBONES[backbone].template(thinking=thinking)
    text, marked = rendered(form, CHAT, tools(backbone), prompt=True)
    golden = (GOLDEN / f"{backbone}-{'thinking' if thinking else 'plain'}.txt").read_bytes().decode()
    assert marked == golden
    assert text == golden.replace(BEGIN, "").replace(END, "")


@both
def test_what_the_tokenizer_renders_is_the_golden_text(backbone: str, thinking: bool) -> None:
    """Content as text or as parts, arguments as text or as an object: the same."""
    form = BACKBONES[backbone].template(thinking=thinking)
    processor = tiny_models.processor(backbone, form.text)
    text = rendered(form, CHAT, tools(backbone))[0]
    other = json.loads(json.dumps(CHAT))
    for message in other:
        if isinstance(message["content"], str):
            message["content"] = [{"type": "text", "text": message["content"]}]
        for made in message.get("tool_calls", ()):
            made["function"]["arguments"] = json.loads(made["function"]["arguments"])
    for messages in (CHAT, other):
        for renderer in (processor, processor.tokenizer):
            assert renderer.apply_chat_template(messages, tools=tools(backbone), tokenize=False) == text


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<>"), max_size=30).map(str.strip)
turns = st.builds(
    lambda thought, said, made, trained: {
        "role": "assistant",
        "content": said if made is None else "",
        "reasoning_content": thought,
        "tool_calls": [] if made is None else [call(made[0], json.dumps(made[1], ensure_ascii=False))],
        "train": trained,
    },
    words,
    words,
    st.none()
    | st.tuples(st.sampled_from(["gaze", "text_search"]), st.dictionaries(words, words | st.integers(), max_size=2)),
    st.booleans(),
)
results = st.lists(st.just(IMAGE) | words.map(lambda text: {"type": "text", "text": text}), max_size=3)


@st.composite
def episodes(draw: st.DrawFn) -> Messages:
    """An episode: system, question, then turns with results, the last turn without."""
    messages: Messages = [
        {"role": "system", "content": draw(words)},
        {"role": "user", "content": [IMAGE, {"type": "text", "text": draw(words)}]},
    ]
    for turn in draw(st.lists(turns, min_size=1, max_size=4)):
        messages += [turn, {"role": "tool", "content": draw(results), "tool_call_id": "c"}]
    return messages[:-1]


@both
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=episodes())
def test_a_chat_begins_with_every_shorter_one(backbone: str, thinking: bool, messages: Messages) -> None:
    form = BACKBONES[backbone].template(thinking=thinking)
    whole = rendered(form, messages, tools(backbone))[0]
    for end, message in enumerate(messages):
        if message["role"] == "assistant":
            prompt = rendered(form, messages[:end], tools(backbone), prompt=True)[0]
            assert whole.startswith(prompt), "what the model saw when it wrote the turn"
            assert whole.startswith(rendered(form, messages[: end + 1], tools(backbone))[0])


@both
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=episodes())
def test_trained_is_what_the_model_writes(backbone: str, thinking: bool, messages: Messages) -> None:
    """From the prompt to the token that ends the turn, for trained turns and no others."""
    form = BACKBONES[backbone].template(thinking=thinking)
    marked = rendered(form, messages, tools(backbone))[1]
    written = [
        rendered(form, messages[: end + 1], tools(backbone))[0]
        .removeprefix(rendered(form, messages[:end], tools(backbone), prompt=True)[0])
        .removesuffix("\n")
        for end, message in enumerate(messages)
        if message["role"] == "assistant" and message["train"]
    ]
    trained = [piece.partition(END)[0] for piece in marked.split(BEGIN)[1:]]
    assert trained == written
    family = BACKBONES[backbone]
    for piece in trained:
        assert piece.endswith(family.ends[-1] if "<tool_call>" in piece else family.end_of_turn)


@both
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=episodes())
def test_a_turn_is_parsed_back(backbone: str, thinking: bool, messages: Messages) -> None:
    form = BACKBONES[backbone].template(thinking=thinking)
    tokenizer = _tokenizer(backbone)
    tokenizer.response_template = form.response
    turn = messages[-1]
    prompt = rendered(form, messages[:-1], prompt=True)[0]
    reply = rendered(form, messages)[0].removeprefix(prompt).removesuffix("\n")
    parsed = tokenizer.parse_response(reply, prefix=prompt)
    calls = [made["function"] for made in turn["tool_calls"]]
    wanted = [{"name": made["name"], "arguments": json.loads(made["arguments"])} for made in calls]
    assert [made["function"] for made in parsed.get("tool_calls") or []] == wanted
    said = [turn["content"]] if thinking else [turn["reasoning_content"], turn["content"]]
    assert (parsed.get("content") or "").strip() == "\n\n".join(filter(None, said))
    assert parsed["role"] == "assistant"
    if thinking:
        assert (parsed.get("reasoning_content") or "").strip() == turn["reasoning_content"]


_tokenizers: dict[str, Any] = {}


def _tokenizer(name: str) -> Any:
    if name not in _tokenizers:
        _tokenizers[name] = tiny_models.tokenizer(backbone=name)
    return _tokenizers[name]


@both
def test_a_call_that_is_no_json_stays_text_in_training(backbone: str, thinking: bool) -> None:
    from trl.chat_template_utils import parse_response

    form = BACKBONES[backbone].template(thinking=thinking)
    tokenizer = _tokenizer(backbone)
    tokenizer.response_template = form.response
    prompt = rendered(form, CHAT[:2], prompt=True)[0]
    opening = "<think>\n" if thinking and not form.opened else ""
    closing = "\n</think>\n\n" if thinking else ""
    reply = f"{opening}So{closing}<tool_call>\n{{oops\n</tool_call>{BACKBONES[backbone].end_of_turn}"
    ids = [tokenizer(text)["input_ids"] for text in (reply, prompt)]
    parsed = parse_response(tokenizer, ids[0], prefix=ids[1])
    assert not parsed.get("tool_calls")
    assert "oops" in parsed["content"]


@both
def test_the_trainers_own_checks_pass(backbone: str, thinking: bool) -> None:
    from trl.chat_template_utils import (
        has_generation_markers,
        is_chat_template_prefix_preserving,
        is_chat_template_stop_token_trained,
        supports_tool_calling,
    )

    form = BACKBONES[backbone].template(thinking=thinking)
    processor = tiny_models.processor(backbone, form.text)
    assert supports_tool_calling(processor)
    assert is_chat_template_prefix_preserving(processor)
    assert has_generation_markers(form.text)
    assert is_chat_template_stop_token_trained(processor)


@both
def test_a_turn_begins_with_a_token_of_its_own(backbone: str, thinking: bool) -> None:
    """White space around what is said would merge with the prompt's line break into a token that is half trained."""
    form = BACKBONES[backbone].template(thinking=thinking)
    tokenizer = _tokenizer(backbone)
    for thought in ("", "\n\nso", "  so "):
        turn = {"role": "assistant", "content": "\n<answer>x</answer> ", "reasoning_content": thought}
        prompt = rendered(form, CHAT[:2], prompt=True)[0]
        whole = rendered(form, [*CHAT[:2], turn])[0]
        ids = tokenizer(prompt)["input_ids"]
        assert tokenizer(whole)["input_ids"][: len(ids)] == ids


def test_vllm_is_told_of_the_parsers_that_fit() -> None:
    flags = {(name, on): BACKBONES[name].template(thinking=on).vllm_flags for name in FAMILIES for on in (True, False)}
    assert all(found[:3] == ("--enable-auto-tool-choice", "--tool-call-parser", "hermes") for found in flags.values())
    assert flags["qwen2.5-vl", True][3:] == ("--reasoning-parser", "qwen3"), "it writes both tags"
    assert flags["qwen3-vl", True][3:] == ("--reasoning-parser", "deepseek_r1"), "the prompt has the first"
    assert all(flags[name, False][3:] == () for name in FAMILIES)
    assert BACKBONES[GLM[0]].template(thinking=True).vllm_flags == flags["qwen2.5-vl", True], "our form, our parsers"


def test_the_special_tokens_are_all_that_the_text_needs(backbone: str) -> None:
    family = BACKBONES[backbone]
    text = family.spanned(rendered(family.template(thinking=True), CHAT, prompt=True)[0])
    assert all(token in text for token in family.special_tokens)
    assert set(re.findall(r"<\|\w+\|>", text)) <= set(family.special_tokens)


def test_a_note_to_a_turn_without_a_call_follows_the_end_of_that_turn(backbone: str) -> None:
    """Of GLM's the end is the user's role, which is not repeated; behind a call it has to be told."""
    family, note = BACKBONES[backbone], {"role": "user", "content": "Error: no call."}
    form = family.template(thinking=False)
    mute: Messages = [*CHAT[:2], {"role": "assistant", "content": "Hm."}]
    calling: Messages = [*CHAT[:2], {"role": "assistant", "content": "Hm.", "tool_calls": [call("image_search", "{}")]}]
    said = [rendered(form, chat)[0] for chat in (mute, calling)]
    heard = [
        rendered(form, [*chat, note])[0].removeprefix(text) for chat, text in zip((mute, calling), said, strict=True)
    ]
    if family.end_of_call:
        assert [text.endswith(end) for text, end in zip(said, family.ends, strict=True)] == [True, True]
        assert heard == ["\nError: no call.", f"{family.end_of_turn}\nError: no call."]
    else:
        assert heard == [f"{family.begin_of_turn}user\nError: no call.{family.end_of_turn}\n"] * 2


if __name__ == "__main__":
    for _name in CHATS:
        for _thinking in (True, False):
            _form = BACKBONES[_name].template(thinking=_thinking)
            _path = GOLDEN / f"{_name}-{'thinking' if _thinking else 'plain'}.txt"
            _path.write_bytes(rendered(_form, CHAT, tools(_name), prompt=True)[1].encode())

"""verl's own dataset, tools, tokens, reward and configuration take an export; run in an environment with it.

    python check_verl.py EXPORT/rl BACKBONE

A scripted rollout goes through verl's token builder: the mask has to be zero on what the tools said, and the last words
of the model are what is paid.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import tiny_models
from cpu_torchvision import make_importable

make_importable()


def config_of(folder: Path) -> Any:
    """The recipe as hydra composes it."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    with initialize_config_dir(str(folder), version_base=None):
        config = compose("grpo")
    OmegaConf.resolve(config)
    return config


def rows_of(config: Any, processor: Any) -> list[dict[str, Any]]:
    from verl.utils.dataset.rl_dataset import RLHFDataset

    files = list(config.data.train_files)
    data = RLHFDataset(files, processor.tokenizer, config.data, processor)
    return [data[number] for number in range(len(data))]


def builder_of(backbone: str, processor: Any) -> Any:
    from verl.utils.tokenizer.continuous_token_wiring import get_continuous_token_builder_class

    family = {"qwen2.5-vl": "qwen2_5_vl", "qwen3-vl": "qwen3_vl"}[backbone]
    return get_continuous_token_builder_class(family)(processor.tokenizer, processor=processor)


async def rollout(row: dict[str, Any], tools: dict[str, Any], turns: list[tuple[str, tuple[str, Any] | None]]) -> Any:
    """Scripted turns as verl's agent loop takes them: words of the model, and its call."""
    data = SimpleNamespace(messages=list(row["raw_prompt"]), tool_calls=[], extra_fields={})
    for said, call in turns:
        data.messages.append({"role": "assistant", "content": said})
        if call is None:
            break
        name, arguments = call
        data.tool_calls = [SimpleNamespace(name=name, arguments=json.dumps(arguments))]
        tool = tools[name]
        begin = row["tools_kwargs"][name]["create_kwargs"]
        instance, _ = await tool.create(create_kwargs=begin)
        response, _, _ = await tool.execute(instance, arguments, agent_data=data)
        await tool.release(instance)
        content = [{"type": "image", "image": image} for image in response.image or ()]
        data.messages.append({"role": "tool", "content": [*content, {"type": "text", "text": response.text}]})
    return data


def main(folder: Path, backbone: str) -> None:
    from verl.tools.tool_registry import load_all_tools
    from verl.trainer.ppo.reward import get_custom_reward_fn

    os.environ |= {
        "GOG_EXPORT": str(folder),
        "GOG_CALLS": str(folder.parent / "calls"),
        "GOG_TEXT_SEARCH": "corpus:atlas",
        "GOG_IMAGE_SEARCH": "gallery:atlas",
        "GOG_CHAT_TEMPLATE": (folder / "chat_template.jinja").read_text(),
        "MODEL": "none",
        "GOG_UNSETTLED": "zero",
    }
    config = config_of(folder)
    settings = config.actor_rollout_ref
    assert settings.model.custom_chat_template == os.environ["GOG_CHAT_TEMPLATE"]
    assert (settings.rollout.n, settings.actor.optim.lr, config.trainer.total_epochs) == (4, 2e-6, 15)
    processor = tiny_models.processor(backbone, settings.model.custom_chat_template)
    processor.tokenizer.chat_template = settings.model.custom_chat_template
    rows = rows_of(config, processor)
    tools = {tool.name: tool for tool in load_all_tools(settings.rollout.multi_turn.tool_config_path, None)}
    shown = [tool.tool_schema.model_dump(exclude_unset=True, exclude_none=True) for tool in tools.values()]
    assert shown[-1]["function"]["parameters"]["properties"]["bbox_2d"]["items"] == {"type": "number"}
    turns = [
        ("I look.", ("gaze", {"bbox_2d": [10, 10, 200, 200], "label": "a flag", "image": 0})),
        ("Evidence: off target.", ("text_search", {"query": "capital of Kenya"})),
        ("Evidence: useful.\n</think>\n\n<answer>Kenya</answer>", None),
    ]
    reward = get_custom_reward_fn(config)
    for row in rows:
        data = asyncio.run(rollout(row, tools, turns))
        assert "Image 1: the crop" in data.messages[3]["content"][1]["text"]
        assert "text_search found" in data.messages[5]["content"][0]["text"]
        text = _text(data.messages)
        paid = asyncio.run(reward("x", text, row["reward_model"]["ground_truth"], dict(data.extra_fields)))
        counts = {"searches": 2.0, "tool_failed": 0.0, "unsettled": 0.0}
        assert paid == {"score": 1.0, "acc": 1.0, "format": 1.0, **counts}, paid
        forged = text.replace("<answer>Kenya</answer>", "I do not know.")
        paid = asyncio.run(reward("x", forged, row["reward_model"]["ground_truth"], dict(data.extra_fields)))
        assert (paid["score"], paid["unsettled"]) == (0.0, 0.0)
        other = text.replace("<answer>Kenya</answer>", "<answer>Another country</answer>")
        paid = asyncio.run(reward("x", other, row["reward_model"]["ground_truth"], dict(data.extra_fields)))
        assert (paid["acc"], paid["unsettled"]) == (0.0, 1.0)
    masked = _check_mask(backbone, processor, rows[0], shown, tools, turns)
    print(f"verl, {backbone}: {len(rows)} rows, {len(tools)} tools, reward and configuration; {masked} tokens masked")


def _text(messages: list[dict[str, Any]]) -> str:
    """The response as a reward sees it: decoded without special tokens."""
    parts = []
    for message in messages[2:]:
        if message["role"] == "assistant":
            parts.append(f"assistant\n{message['content']}\n")
        else:
            shown = "".join(part.get("text", "") for part in message["content"])
            parts.append(f"user\n<tool_response>\n{shown}\n</tool_response>\n")
    return "".join(parts).removeprefix("assistant\n")


def _check_mask(backbone: str, processor: Any, row: dict[str, Any], shown: Any, tools: Any, turns: Any) -> int:
    """Tokens of the rollout that are not the model's, by verl's own builder; raises where the model's are not alone."""
    builder = builder_of(backbone, processor)
    messages = asyncio.run(rollout(row, tools, turns)).messages
    images = [part["image"] for part in messages[1]["content"] if part["type"] == "image"]
    tokens = builder.build_initial_tokens(messages[:2], tools=shown, images=images)
    start = len(tokens)
    mask: list[int] = []
    spoken = ""
    for number, message in enumerate(messages[2:], 2):
        if message["role"] == "assistant":
            said = f"{message['content']}<|im_end|>"
            spoken += said
            merged = builder.merge_assistant_tokens(tokens, processor.tokenizer.encode(said, add_special_tokens=False))
        else:
            merged = builder.merge_context_tokens(messages[:number], messages[: number + 1], tokens, tools=shown)
        mask, _ = builder.align_response_metadata(merged, mask)
        tokens = merged.token_ids
    learned = [token for token, flag in zip(tokens[start:], mask, strict=True) if flag]
    assert processor.tokenizer.decode(learned) == spoken
    return mask.count(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), str(sys.argv[2]))

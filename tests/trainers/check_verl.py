"""verl's own dataset, token builder and configuration take an export, and our loop plays it; run in verl's environment.

    python check_verl.py EXPORT/rl BACKBONE

A scripted server stands in for vLLM: the mask has to be zero on what the policy was told, and one on all it said.
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

from gog.transforms.dialect.backbones import BACKBONES
from gog_train.processors import fit

make_importable()


def call(name: str, **arguments: Any) -> str:
    """A turn that thinks and calls a tool, as a model writes it."""
    written = json.dumps({"name": name, "arguments": arguments})
    return f"I look.\n</think>\n\n<tool_call>\n{written}\n</tool_call>"


TURNS = (
    call("gaze", bbox_2d=[10, 10, 200, 200], image=0),
    "I do not know what to do.",
    call("text_search", query="capital of Kenya"),
    "Evidence: useful.\n</think>\n\n<answer>Kenya</answer>",
)


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


class Server:
    """Says the turns, one a call, and keeps what it was asked with."""

    def __init__(self, tokenizer: Any, turns: tuple[str, ...]) -> None:
        self._turns = iter([tokenizer.encode(f"{turn}<|im_end|>", add_special_tokens=False) for turn in turns])
        self.asked: list[tuple[int, int, int]] = []
        """Of each turn: tokens, images, and the seed."""

    async def generate(
        self, *, request_id: str, prompt_ids: list[int], sampling_params: dict[str, Any], image_data: list[Any]
    ) -> Any:
        self.asked.append((len(prompt_ids), len(image_data), sampling_params["seed"]))
        ids = next(self._turns)[: sampling_params["max_tokens"]]
        steps = {"min_global_steps": 1, "max_global_steps": 1}
        return SimpleNamespace(token_ids=ids, log_probs=[-1.0] * len(ids), num_preempted=None, extra_fields=steps)


async def played(config: Any, row: dict[str, Any], processor: Any, turns: tuple[str, ...], **more: Any) -> Any:
    """What verl gets of a rollout, and the server that spoke in it."""
    from verl.experimental.agent_loop.agent_loop import DictConfigWrap
    from verl.utils.dataset.rl_dataset import RLHFDataset

    from gog_train.verl.agent_loop import EpisodeAgentLoop

    tokenizer, server = processor.tokenizer, Server(processor.tokenizer, turns)
    data, family = DictConfigWrap(config.data), more.pop("family")
    loop = EpisodeAgentLoop(DictConfigWrap(config), server, tokenizer, processor, RLHFDataset, data, family)
    output = await loop.run({"temperature": 1.0}, **(row | {"global_steps": 1, "session_id": 0} | more))
    return output, server


def main(folder: Path, backbone: str) -> None:
    os.environ |= {
        "GOG_EXPORT": str(folder),
        "GOG_CALLS": str(folder.parent / "calls"),
        "GOG_TEXT_SEARCH": "corpus:atlas",
        "GOG_IMAGE_SEARCH": "gallery:atlas",
        "GOG_CHAT_TEMPLATE": (folder / "chat_template.jinja").read_text(),
        "MODEL": "none",
    }
    config = config_of(folder)
    config.gog.seeded = True
    settings = config.actor_rollout_ref
    assert settings.model.custom_chat_template == os.environ["GOG_CHAT_TEMPLATE"]
    assert (settings.rollout.n, settings.actor.optim.lr, config.trainer.total_epochs) == (4, 2e-6, 15)
    processor = tiny_models.processor(backbone, settings.model.custom_chat_template)
    processor.tokenizer.chat_template = settings.model.custom_chat_template
    fit(processor, BACKBONES[backbone].template(thinking=True), BACKBONES[backbone])
    rows, spec = rows_of(config, processor), BACKBONES[backbone]
    family = {"qwen2.5-vl": "qwen2_5_vl", "qwen3-vl": "qwen3_vl"}[backbone]
    for row in rows:
        output, server = asyncio.run(played(config, row, processor, TURNS, family=family))
        told = processor.tokenizer.decode(output.response_ids)
        assert "Image 1: the crop" in told
        assert "text_search found" in told
        mask = output.response_mask
        learned = [token for token, own in zip(output.response_ids, mask, strict=True) if own]
        assert processor.tokenizer.decode(learned) == "".join(f"{turn}<|im_end|>" for turn in TURNS)
        assert [p == -1.0 for p in output.response_logprobs] == [bool(own) for own in mask]
        images = output.multi_modal_data["images"]
        pads = [*output.prompt_ids, *output.response_ids].count(processor.image_token_id)
        assert (len(images), pads) == (2, sum(spec.visual_tokens(*image.size) for image in images))
        assert [count for _, count, _ in server.asked] == [1, 2, 2, 2]
        assert len({seed for *_, seed in server.asked}) == 4
        info = output.extra_fields["reward_extra_info"]
        assert (output.reward_score, info["acc"], info["format"]) == (0.9, 1.0, 0.0), info
        assert (info["searches"], info["strikes"], output.num_turns) == (2.0, 1.0, 4)
    masked = len(mask) - sum(mask)
    other = (TURNS[-1].replace("Kenya", "Another country"),)
    assert asyncio.run(played(config, rows[0], processor, other, family=family))[0] == [], "no rule settles it"
    first = asyncio.run(played(config, rows[0], processor, ("<|image_pad|>",), family=family))[0]
    assert (first.reward_score, first.response_mask, len(first.response_ids)) == (0.0, [0], 1)
    config.actor_rollout_ref.rollout.response_length = 40
    assert asyncio.run(played(config, rows[0], processor, TURNS, family=family))[0] == [], "cut off"
    print(f"verl, {backbone}: {len(rows)} rows, agent loop and configuration; {masked} tokens masked")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), str(sys.argv[2]))

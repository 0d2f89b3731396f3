"""`gog_train.grpo` over a real colocated vLLM, watched: `python colocated.py REPORT ARGUMENTS OF gog_train.grpo`.

The report is what vLLM was sent and saw, and how far its log-probabilities of what it sampled are from the trainer's.
The CPU build packs the weights of linear layers and drops the originals: here they stay, so that a sync can load
others. Its scan for Triton kernels stops at objects of llvmlite whose `__dict__` is none: here it passes over them.
"""

import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import vllm
import vllm.model_executor.layers.utils as layers
import vllm.triton_utils.dispatcher as dispatcher


def _keep(layer: Any, remove_weight: bool) -> None:
    layer.cpu_linear = torch.nn.functional.linear


def _own_dict(value: object) -> dict[str, Any]:
    space = vars(value)
    return space if isinstance(space, dict) else {}


layers.dispatch_cpu_unquantized_gemm = _keep
dispatcher.vars = _own_dict


def runs_of(ids: Sequence[int], token: int) -> list[int]:
    """Lengths of the runs of a token."""
    return [len(list(group)) for key, group in itertools.groupby(ids) if key == token]


def watch(report: dict[str, Any]) -> None:
    """Have vLLM and the trainer write into the report what passes."""
    from gog_train import episode_trainer

    class Watched(episode_trainer.EpisodeTrainer):
        def _fit_vllm(self) -> None:
            super()._fit_vllm()
            engine, plain = self.vllm_generation.llm, self.vllm_generation.llm.generate

            def generate(prompts: Any, *arguments: Any, **more: Any) -> Any:
                replies = plain(prompts, *arguments, **more)
                for prompt, reply in zip(prompts, replies, strict=True):
                    images = prompt["multi_modal_data"]["image"]
                    report["prompts"].append(
                        {
                            "wanted": self._sizes(images if isinstance(images, list) else [images]),
                            "sent": runs_of(prompt["prompt_token_ids"], self._image_pad_token_id),
                            "seen": runs_of(reply.prompt_token_ids, self._image_pad_token_id),
                        }
                    )
                return replies

            engine.generate = generate

        def _scored_batch(self, inputs: Any) -> Any:
            batch, alive = super()._scored_batch(inputs)
            own = self._own(batch).bool()
            apart = (batch["sampling_per_token_logps"] - batch["old_per_token_logps"])[own].abs()
            rollouts = [environment.rollout for environment in self.environments]
            report["batches"].append(
                {
                    "tokens": int(own.sum()),
                    "apart": float(apart.max()) if len(apart) else 0.0,
                    "mean": float(apart.mean()) if len(apart) else 0.0,
                    "images": [len(rollout.episode.images) for rollout in rollouts],
                    "rewards": [one.reward for one in self.scored],
                    "endings": [str(rollout.ending) for rollout in rollouts],
                }
            )
            return batch, alive

    episode_trainer.EpisodeTrainer = Watched  # type: ignore[misc]


def main() -> int:
    """Train, then write the report, whatever came of it."""
    from gog_train import grpo

    report: dict[str, Any] = {"vllm": vllm.__version__, "prompts": [], "batches": []}
    watch(report)
    try:
        return grpo.main(sys.argv[2:])
    finally:
        Path(sys.argv[1]).write_text(json.dumps(report), "utf-8")


if __name__ == "__main__":
    sys.exit(main())

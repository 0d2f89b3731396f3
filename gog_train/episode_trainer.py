"""TRL's GRPO trainer with rollouts through the shared episode. Imports torch and TRL.

TRL's own tool loop ends a rollout at the first call that it cannot read, goes on after the last strike, and runs one
tool at a time. Here its place is taken by a loop that hands each turn's text to the machine and appends the tokens of
what the machine says; generation, log-probabilities, advantages and the loss are TRL's.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import torch
from accelerate.utils import is_peft_model
from PIL import Image

from gog.schemas import Message
from gog.transforms.dialect.backbones import Backbone
from gog.transforms.episode.machine import EpisodeSettings, offered_tools
from gog.transforms.export.rows import chat_message
from gog.transforms.services.loop import run_on_loop
from gog_train import held_out
from gog_train.environment import Ending, Environment, Rollout, environment_class
from gog_train.image_inputs import MARKS, for_generation, for_training
from gog_train.judge_health import JudgeHealth
from gog_train.rewards.scoring import (
    CountedJudge,
    Scored,
    finished_of,
    metrics_of,
    score_all,
    unsettled_of,
    with_signal,
)
from gog_train.rewards.terms import RewardSettings
from gog_train.rollouts import Counted, Keeper
from gog_train.sampling import draw, last_turn, merge, silenced
from gog_train.services import TrainingServices
from gog_train.settings import TrainingError
from gog_train.token_ids import chat_ids, check_images, images_of, suffix_ids
from gog_train.vllm_engine import (
    check_budget,
    effective_share,
    fitted,
    merged_weights,
    one_token_each,
    span_of,
    tokens_by_engine,
    tokens_by_server,
)

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # environments are experimental: TRL's version is pinned

from trl import GRPOTrainer

THOUGHT: Final = "<think>\n"
_UNPAID: Final = "All reward functions returned None"


@dataclass(frozen=True, slots=True)
class Setup:
    """What the trainer needs beside TRL's arguments."""

    services: TrainingServices
    episode: EpisodeSettings
    backbone: Backbone
    opened: bool
    """The generation prompt ends with the opening tag of a thought."""
    levels: Sequence[int]
    """Of the training rows, in their order."""
    reward: RewardSettings = field(default_factory=RewardSettings)
    health: JudgeHealth = field(default_factory=JudgeHealth)
    resample: int = 0
    """Batches that are drawn at most to replace groups without signal."""
    keeper: Keeper | None = None
    """Takes the rollouts of each step."""


@dataclass(slots=True)
class _Tokens:
    """A rollout as tokens. `mask` is 1 where the policy wrote, 0 where it was told."""

    rollout: Rollout
    prompt: list[int]
    images: list[Image.Image]
    completion: list[int] = field(default_factory=list)
    mask: list[int] = field(default_factory=list)
    logps: list[Any] = field(default_factory=list)
    told_images: list[Image.Image] = field(default_factory=list)

    @property
    def all_images(self) -> list[Image.Image]:
        return [*self.images, *self.told_images]

    def extend(self, ids: Sequence[int], *, own: bool, logps: Sequence[Any] | None = None) -> None:
        self.completion += ids
        self.mask += [int(own)] * len(ids)
        self.logps += logps if logps is not None else [0.0] * len(ids)


class EpisodeTrainer(GRPOTrainer):
    """GRPO on rollouts of the episode."""

    def __init__(self, setup: Setup, **arguments: Any) -> None:
        """`arguments` are TRL's, without rewards and environments."""
        services = setup.services
        self.setup = setup
        self.scored: list[Scored] = []
        """The rollouts of the last batch."""
        self.unsettled = 0
        """Rollouts so far whose answers nobody settled, for want of a judge, over all processes."""
        self._counts = (0, 0, 0)
        logging.getLogger("trl.trainer.grpo_trainer").addFilter(_not_about_unpaid)
        # Those that are on by default too: TRL runs a loop of tools, ours, only where an environment has some.
        made = environment_class(setup.episode.known, setup.episode.frame)
        dtype = "bfloat16" if arguments["args"].bf16 else "float32"
        with fitted(setup.backbone, setup.episode.max_images, dtype):
            super().__init__(
                reward_funcs=self.pay,
                environment_factory=partial(made, services.tools, services.images, setup.episode),
                **arguments,
            )
        self._span = span_of(self._tokenizer, setup.backbone)
        self._visual = frozenset(self._tokenizer.convert_tokens_to_ids([*setup.backbone.placeholders]))
        self._image_pad_token_id = self._span.feature  # TRL looks for Qwen's, which others' tokenizers have as well
        if self.use_vllm:
            self._fit_vllm()
        # What the prompt shows: the export's schemas rather than those that transformers reads off the methods.
        self._env_tools = {None: list(offered_tools(setup.episode))}

    def _fit_vllm(self) -> None:
        """Check the budget of pixels, and have vLLM get weights of which no sync moves the base."""
        engine = self.vllm_generation
        if self.vllm_mode == "colocate":
            check_budget(partial(tokens_by_engine, engine.llm, self._span), self.setup.backbone)
        elif self.accelerator.is_main_process:
            check_budget(partial(tokens_by_server, engine.vllm_client, self._span), self.setup.backbone)
        if is_peft_model(self.model):
            named = partial(engine._fix_param_name_to_vllm, extra_prefixes=["modules_to_save.default."])
            engine._iter_named_params = partial(merged_weights, self.model, named)

    def _generate_single_turn(self, prompt_ids: Any, images: Any, fields: Any, *counts: Any, **more: Any) -> Any:
        if self.use_vllm and self.vllm_mode == "colocate":
            pairs = zip(prompt_ids, images or [None] * len(prompt_ids), strict=True)
            prompt_ids = [one_token_each(ids, self._sizes(shown), self._span) for ids, shown in pairs]
        return super()._generate_single_turn(prompt_ids, images, fields, *counts, **more)

    def _tokenize_prompts(self, prompts: Any) -> Any:
        """Ids, images and what the model takes of them."""
        tools = self._env_tools[None]
        ids = [chat_ids(self._tokenizer, prompt, self.setup.backbone, tools, prompt=True) for prompt in prompts]
        images = [list(images_of(prompt)) for prompt in prompts]
        return ids, [shown or None for shown in images], self._inputs(ids, images)

    def _sizes(self, images: Sequence[Image.Image] | None) -> list[int]:
        return [self.setup.backbone.visual_tokens(*image.size) for image in images or ()]

    def pay(self, *, environments: Sequence[Environment], log_metric: Callable[..., None], **_: Any) -> list[Any]:
        rollouts = [environment.rollout for environment in environments]
        judge = CountedJudge(self.setup.services.judge) if self.setup.services.judge else None
        self.scored = run_on_loop(score_all(rollouts, judge, self.setup.reward))
        self._counts = (*((judge.asked, judge.answered) if judge else (0, 0)), unsettled_of(self.scored))
        for name, value in metrics_of(self.scored, rollouts).items():
            log_metric(name, value)
        return [one.reward for one in self.scored]

    def _tool_call_loop(
        self,
        prompts: Any,
        prompt_ids: Sequence[list[int]],
        completion_ids: Sequence[list[int]],
        completions: Any,
        logprobs: Any,
        images: Any,
        multimodal_fields: Any,
    ) -> tuple[Any, ...]:
        """Run the rollouts to their end; takes TRL's first turn and gives back what TRL's loop gives."""
        all_tokens = []
        for number, (environment, ids) in enumerate(zip(self.environments, prompt_ids, strict=True)):
            tokens = _Tokens(environment.rollout, list(ids), list(images[number] or []))
            self._take(tokens, completion_ids[number], None if logprobs is None else logprobs[number])
            all_tokens.append(tokens)
        live = [tokens for tokens in all_tokens if not tokens.rollout.over]
        while live := self._tell(live):
            self._check_images(live)
            so_far, images = [tokens.prompt + tokens.completion for tokens in live], [one.all_images for one in live]
            ids, logps = self._generate_single_turn(so_far, images, self._inputs(so_far, images), num_generations=1)
            for number, tokens in enumerate(live):
                self._take(tokens, ids[number], None if logps is None else logps[number])
            live = [tokens for tokens in live if not tokens.rollout.over]
        rollouts = [tokens.rollout for tokens in all_tokens]
        return (
            [tokens.mask for tokens in all_tokens],
            [[chat_message(message) for message in rollout.episode.messages[2:]] for rollout in rollouts],
            [tokens.completion for tokens in all_tokens],
            None if logprobs is None else [tokens.logps for tokens in all_tokens],
            sum(finished_of(rollout).searches for rollout in rollouts),
            sum(rollout.ending in (Ending.TOOL_FAILED, Ending.MISSED) for rollout in rollouts),
            [tokens.told_images for tokens in all_tokens],
        )

    def _take(self, tokens: _Tokens, ids: Sequence[int], logps: Sequence[Any] | None) -> None:
        """The policy's next tokens; a turn that has no end, or an image token in it, ends the rollout."""
        room = self.max_completion_length - len(tokens.completion)
        ids, logps = list(ids[:room]), None if logps is None else list(logps[:room])
        forged = next((place for place, token in enumerate(ids) if token in self._visual), None)
        if forged is not None:
            ids, logps = ids[:forged], None if logps is None else logps[:forged]
            tokens.rollout.end(Ending.BROKEN)
        elif not ids or ids[-1] not in self.eos_token_ids:
            tokens.rollout.end(Ending.OVERLONG)
        tokens.extend(ids, own=True, logps=logps)
        if not tokens.completion:
            tokens.extend([self._tokenizer.eos_token_id], own=False)

    def _tell(self, live: Sequence[_Tokens]) -> list[_Tokens]:
        """Hand the last turns to the machine, all at once, and append its replies; returns those that go on."""
        told = run_on_loop(_turns([(tokens.rollout, self._text(tokens)) for tokens in live])) if live else []
        return [tokens for tokens, messages in zip(live, told, strict=True) if self._append(tokens, messages)]

    def _text(self, tokens: _Tokens) -> str:
        """The last turn as the machine reads it."""
        start = len(tokens.mask)
        while start and tokens.mask[start - 1]:
            start -= 1
        text: str = self._tokenizer.decode(tokens.completion[start:], skip_special_tokens=True)
        return THOUGHT + text if self.setup.opened else text

    def _append(self, tokens: _Tokens, messages: Sequence[Message]) -> bool:
        """Append what a rollout is told; False when it is over, or has no room for it."""
        if not messages:
            return False
        shown = [tokens.rollout.blocks(message) for message in messages]
        told = [
            {"role": message.role, "name": "tool", "content": blocks}
            for message, blocks in zip(messages, shown, strict=True)
        ]
        ids = suffix_ids(self._tokenizer, told, self.setup.backbone, tokens.completion[-1])
        longest = self.max_completion_length
        if (
            len(tokens.completion) + len(ids) >= longest
            or len(tokens.prompt + tokens.completion + ids) >= self._context
        ):
            tokens.rollout.end(Ending.OVERLONG)
            return False
        tokens.extend(ids, own=False)
        tokens.told_images += [block["image"] for blocks in shown for block in blocks if block["type"] == "image"]
        return True

    @property
    def _context(self) -> int:
        """Tokens that the model that generates can hold."""
        if self.use_vllm and self.vllm_mode == "colocate":
            return int(self.vllm_generation.llm.llm_engine.model_config.max_model_len)
        return int(self.model.config.get_text_config().max_position_embeddings)

    def _inputs(self, prompts: Sequence[Sequence[int]], images: Sequence[Sequence[Image.Image]]) -> dict[str, Any]:
        """What the training model takes beside the ids; vLLM takes the images themselves."""
        if self.use_vllm:
            return {}
        processor, backbone = self.processing_class.image_processor, self.setup.backbone
        return for_generation(processor, prompts, images, backbone, self._image_pad_token_id)

    def _get_per_token_logps_and_entropies(
        self, model: Any, ids: Any, mask: Any, kept: int, batch_size: int | None = None, **fields: Any
    ) -> Any:
        taken = for_training(fields, ids, self.setup.backbone, self._image_pad_token_id)
        return super()._get_per_token_logps_and_entropies(model, ids, mask, kept, batch_size, **taken)

    def _check_images(self, live: Sequence[_Tokens]) -> None:
        prompts, completions = [tokens.prompt for tokens in live], [tokens.completion for tokens in live]
        images = [tokens.all_images for tokens in live]
        check_images(prompts, completions, images, self.setup.backbone, self._image_pad_token_id)

    def _generate(self, prompts: Any) -> Any:
        generated = super()._generate(prompts)
        check_images(generated[0], generated[1], generated[6], self.setup.backbone, self._image_pad_token_id)
        return generated

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        batch, alive = self._scored_batch(inputs)
        mode = "train" if self.model.training else "eval"
        if self.model.training and self.setup.resample:
            batch, alive = self._with_signal(batch, alive, [row["level"] for row in inputs[:: self.num_generations]])
        counts = torch.tensor([sum(alive), len(alive)], device=self.accelerator.device, dtype=torch.float)
        live, groups = self.accelerator.gather(counts).view(-1, 2).sum(0).tolist()
        self._metrics[mode]["groups/with_signal"].append(live / groups)
        if self.setup.keeper is not None:
            self.setup.keeper.write(self.state.global_step + 1, self.accelerator)
        return batch

    def _scored_batch(self, inputs: Any) -> tuple[dict[str, Any], list[bool]]:
        """A batch of rollouts, and which of its groups teach; what is masked is out of the loss, KL included."""
        self.setup.services.images.clear()
        batch: dict[str, Any] = super()._generate_and_score_completions(inputs)
        if "pixel_values" not in batch or batch.get("num_images") is None:
            raise TrainingError("TRL dropped the images of a batch: report it, with the export that it happened with")
        for marks in MARKS:
            batch.pop(marks, None)
        self._keep_prefixes(batch)
        calls = torch.tensor([self._counts], device=self.accelerator.device)
        asked, answered, unsettled = map(int, self.accelerator.gather(calls).sum(0).tolist())
        self.unsettled += unsettled
        self.setup.health.add(asked, answered)
        alive = with_signal(self.scored, self.num_generations)
        if self.setup.keeper is not None:
            rollouts = [environment.rollout for environment in self.environments]
            first = self.accelerator.process_index * len(rollouts)
            counts = self._counts_of(batch, alive)
            self.setup.keeper.add(self.state.global_step + 1, first, rollouts, self.scored, counts)
        paid = torch.tensor([one.reward is not None for one in self.scored], device=batch["tool_mask"].device)
        batch["tool_mask"] = batch["tool_mask"] * paid.unsqueeze(1)
        if "importance_sampling_ratio" in batch:
            share = effective_share(batch["importance_sampling_ratio"], self._own(batch), self.accelerator)
            self._metrics["train" if self.model.training else "eval"]["sampling/effective_share"].append(share)
        return self._counted(batch), alive

    def _keep_prefixes(self, batch: dict[str, Any]) -> None:
        """Of what did not come to its end, take out the last turn, and push no turn before it down."""
        own = self._own(batch)
        for number in (number for number, one in enumerate(self.scored) if one.prefix):
            batch["tool_mask"][number, last_turn(own[number].tolist())] = 0
            batch["advantages"][number].clamp_(min=0)

    def _counts_of(self, batch: dict[str, Any], alive: Sequence[bool]) -> list[Counted]:
        """Of each rollout; those of a group that will be silenced or replaced move nothing."""
        tokens = batch["prompt_mask"].sum(1).tolist(), self._own(batch).sum(1).tolist()
        moves = [live or not self.setup.resample for live in alive for _ in range(self.num_generations)]
        advantages = (one if move else 0.0 for one, move in zip(batch["advantages"].tolist(), moves, strict=True))
        return [Counted(*one) for one in zip(advantages, *tokens, strict=True)]

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Have the greedy policy answer the held-out questions, in the place of TRL's sampled loss."""
        training = self.model.training
        self.model.eval()
        try:
            metrics = held_out.ask(self, self.eval_dataset)
            self.log(dict(metrics))
        finally:
            self.model.train(training)
        self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _own(self, batch: dict[str, Any]) -> Any:
        """The mask of the tokens that the loss sees."""
        return batch["completion_mask"] * batch["tool_mask"]

    def _counted(self, batch: dict[str, Any]) -> dict[str, Any]:
        """With the number of tokens that the loss sees."""
        return batch | {"num_items_in_batch": self.accelerator.gather(self._own(batch).sum()).sum()}

    def _with_signal(
        self, batch: dict[str, Any], alive: Sequence[bool], like: Sequence[int]
    ) -> tuple[dict[str, Any], list[bool]]:
        """The batch with other groups in the place of those without signal; if none are found, these stay, silent."""
        group, wanted = self.num_generations, len(like)
        picked = [(batch, number) for number, live in enumerate(alive) if live]
        silent = silenced(batch)
        dull = [(silent, number) for number, live in enumerate(alive) if not live]
        tried = 0
        while tried < self.setup.resample and self._missing(wanted - len(picked)):
            tried += 1
            place = f"{self.args.seed}/{self.state.global_step}/{tried}/{self.accelerator.process_index}"
            rows = draw(self.setup.levels, like, wanted, place)
            other, teaches = self._scored_batch([self.train_dataset[row] for row in rows for _ in range(group)])
            picked += [(other, number) for number, live in enumerate(teaches) if live]
        self._metrics["train"]["resampled/batches"].append(float(tried))
        self._metrics["train"]["resampled/dull_groups"].append(len(dull) / wanted)
        live = [True] * min(len(picked), wanted)
        if not tried:
            return batch, live
        merged = merge((picked + dull)[:wanted], group, self._tokenizer.pad_token_id)
        return self._counted(merged), live + [False] * (wanted - len(live))

    def _missing(self, here: int) -> bool:
        """Whether any process misses groups: all of them draw, or none."""
        missing = torch.tensor([max(0, here)], device=self.accelerator.device)
        return bool(self.accelerator.gather(missing).sum().item())


async def _turns(pairs: Sequence[tuple[Rollout, str]]) -> list[tuple[Message, ...]]:
    return list(await asyncio.gather(*(rollout.turn(text) for rollout, text in pairs)))


def _not_about_unpaid(record: logging.LogRecord) -> bool:
    """TRL warns, with the whole row, of every rollout that is masked on purpose."""
    return _UNPAID not in str(record.msg)  # behind "[RANK 0] " where there are several

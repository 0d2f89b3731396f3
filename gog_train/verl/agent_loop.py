"""verl's agent loop over the episode: verl generates and keeps the tokens, the machine says what a turn came to.

verl logs what a rollout raises and goes on without it, so an error asks for the end of the training.

Source: verl 0.9.1, `verl.experimental.agent_loop.agent_loop` and `verl.trainer.ppo.v1.agent_loop_tq`: a loop that gives
no output leaves its rollout out of the batch, and one that gives a score is not scored again.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

from omegaconf import OmegaConf  # type: ignore[import-not-found, unused-ignore]
from verl.experimental.agent_loop.agent_loop import (  # type: ignore[import-not-found, unused-ignore]
    AgentLoopBase,
    AgentLoopMetrics,
    AgentLoopOutput,
)
from verl.utils.profiler import simple_timer  # type: ignore[import-not-found, unused-ignore]
from verl.utils.tokenizer import get_processor_token_id  # type: ignore[import-not-found, unused-ignore]

from gog.schemas import Split
from gog.transforms.episode.machine import offered_tools
from gog_train.environment import Ending
from gog_train.settings import TrainingError
from gog_train.verl.episode import Block, Home, LoopSettings, home, paid, seed_of
from gog_train.verl.start import HANDED_ON
from gog_train.verl.stop import ask_to_stop

_LAST_WEIGHTS: Final = "max_global_steps"


class EpisodeAgentLoop(AgentLoopBase):  # type: ignore[misc, unused-ignore]
    """One rollout. Its settings are the section `gog` of the recipe."""

    async def run(self, sampling_params: dict[str, Any], **row: Any) -> AgentLoopOutput | list[AgentLoopOutput]:
        """Play the row's episode and score it; nothing where the rollout is masked."""
        try:
            return await self._played(sampling_params, row)
        except TrainingError as error:
            ask_to_stop(str(error))
            raise
        except Exception as error:
            ask_to_stop(f"a rollout broke off ({type(error).__name__}: {error})")
            raise

    async def _played(self, sampling: dict[str, Any], row: Mapping[str, Any]) -> Any:
        settings = LoopSettings.model_validate(OmegaConf.to_container(self.config.gog, resolve=True))
        there = tuple((name, os.environ[name]) for name in HANDED_ON if name in os.environ)
        shared = home(there, settings.model_dump_json())
        with shared.rollout(row) as rollout:
            speaker = VerlSpeaker(self, shared, sampling, row if settings.seeded else None)
            await speaker.begin(list(row["raw_prompt"]))
            await shared.play(rollout, speaker)
            with simple_timer("compute_score", speaker.metrics):
                scored = await shared.score(rollout)
        held_out = row["extra_info"]["split"] == Split.VALIDATION.value
        parts = paid(rollout, scored, shared.reward, held_out=held_out)
        return [] if parts is None else speaker.output(parts)


class VerlSpeaker:
    """The policy behind verl's server, and the rollout's tokens, which are what it read and wrote, one by one."""

    def __init__(self, loop: EpisodeAgentLoop, shared: Home, sampling: Mapping[str, Any], seeded: Any) -> None:
        """`seeded` is the row, where its turns are drawn by seeds."""
        self._loop, self._sampling, self._seeded = loop, sampling, seeded
        self._tools = list(offered_tools(shared.settings))
        self._longest = int(loop.rollout_config.response_length)
        self._visual = {get_processor_token_id(loop.processor, name) for name in ("image", "video")}
        self._request, self._turns = uuid4().hex, 0
        self._ids: list[int] = []
        self._mask: list[int] = []
        self._logps: list[float] | None = None
        self._images: list[Any] = []
        self._extra: dict[str, Any] = {}
        self.metrics: dict[str, Any] = {}

    async def begin(self, messages: list[dict[str, Any]]) -> None:
        """Read the prompt."""
        self._images = (await self._loop.process_multi_modal_info(messages))["images"]
        self._ids = await self._loop.ct_build_initial_tokens(messages, tools=self._tools, images=self._images)

    async def say(self) -> str | Ending:
        """The next turn; an image token in it ends the rollout, for its features do not exist."""
        room = self._longest - len(self._mask)
        sampling = {**self._sampling, "max_tokens": room}
        if self._seeded is not None:
            sampling["seed"] = seed_of(self._seeded, self._turns)
        with simple_timer("generate_sequences", self.metrics):
            reply = await self._loop.server_manager.generate(
                request_id=self._request, prompt_ids=self._ids, sampling_params=sampling, image_data=self._images
            )
        self._turns += 1
        self._note(reply)
        ids, logps = list(reply.token_ids)[:room], reply.log_probs
        end = next((place for place, token in enumerate(ids) if token in self._visual), len(ids))
        await self._append(ids[:end], None if logps is None else list(logps)[:end])
        if end < len(ids):
            return Ending.BROKEN
        if not ids or (len(ids) == room and ids[-1] != self._loop.tokenizer.eos_token_id):
            return Ending.OVERLONG
        return str(self._loop.tokenizer.decode(ids, skip_special_tokens=True))

    async def hear(self, told: Sequence[tuple[str, list[Block]]]) -> bool:
        """Append what it is told; False where the response would have no room for another turn."""
        messages = [{"role": role, "content": blocks} for role, blocks in told]
        merged, mask, logps = await self._loop.ct_merge_context_msg(
            [], messages, self._ids, self._mask, self._logps, tools=self._tools
        )
        if len(mask) >= self._longest:
            return False
        self._ids, self._mask, self._logps = merged.token_ids, mask, logps
        self._images += [block["image"] for _, blocks in told for block in blocks if block["type"] == "image"]
        return True

    def output(self, parts: Mapping[str, float]) -> AgentLoopOutput:
        """The rollout as verl trains on it."""
        if not self._mask:  # an image token came first: verl needs one, which nothing is learned from
            self._ids, self._mask = [*self._ids, self._loop.tokenizer.eos_token_id], [0]
            self._logps = None if self._logps is None else [0.0]
        start = len(self._ids) - len(self._mask)
        info = {name: value for name, value in parts.items() if name != "score"}
        return AgentLoopOutput(
            prompt_ids=self._ids[:start],
            response_ids=self._ids[start:],
            response_mask=self._mask,
            response_logprobs=self._logps,
            multi_modal_data={"images": self._images},
            reward_score=parts["score"],
            num_turns=self._turns,
            metrics=AgentLoopMetrics(**self.metrics),
            extra_fields={**self._extra, "turn_scores": [], "tool_rewards": [], "reward_extra_info": info},
        )

    def _note(self, reply: Any) -> None:
        """What verl wants to know of how it was generated: the first weights that did, and the last."""
        self._extra = {**(self._extra or reply.extra_fields), _LAST_WEIGHTS: reply.extra_fields.get(_LAST_WEIGHTS)}
        if reply.num_preempted is not None:
            self.metrics["num_preempted"] = self.metrics.get("num_preempted", 0) + reply.num_preempted

    async def _append(self, ids: list[int], logps: list[float] | None) -> None:
        if logps is not None and self._logps is None:
            self._logps = []
        merged, self._mask, self._logps = await self._loop.ct_merge_assistant_token(
            self._ids, ids, self._mask, self._logps, assistant_logprobs=logps
        )
        self._ids = merged.token_ids

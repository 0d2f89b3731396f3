"""Our async driver of the episode: synthesis, labelling and evaluation run through it.

The driver asks a model for each turn and runs the tool that the machine waits for. A failing model or tool ends
the episode with its `ServiceError` in `Driven.failure`, and what came before is kept: that is the infrastructure's
failure, never the model's.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gog.schemas import Evidence
from gog.transforms.episode.machine import Episode, act, observe
from gog.transforms.episode.tool import EpisodeTools
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.protocols import ChatReply, ChatRequest, Policy, Sampling, ServiceError

Speak = Callable[[Episode], Awaitable[ChatReply]]
"""Asks a model for the episode's next turn."""


@dataclass(frozen=True, slots=True)
class Driven:
    """An episode with everything its tools returned, in order; `failure` says why it broke off, if it did."""

    episode: Episode
    evidence: tuple[Evidence, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    failure: ServiceError | None = None
    cut: int = 0
    """Turns that ended because the model had written all that it may."""


OnTurn = Callable[[Driven], None]
"""Gets what has happened so far after each turn and each observation."""


async def drive(episode: Episode, speak: Speak, tools: EpisodeTools, on_turn: OnTurn | None = None) -> Driven:
    """Run the episode to its end, or until a model (`ServiceError`) or a tool (`ToolError`) fails."""
    driven = Driven(episode)
    try:
        while driven.episode.stop is None:
            driven = take_turn(driven, await speak(driven.episode))
            if on_turn is not None:
                on_turn(driven)
            while driven.episode.pending is not None:
                driven = await use_tool(driven, tools)
                if on_turn is not None:
                    on_turn(driven)
    except ServiceError as error:
        return replace(driven, failure=error)
    return driven


def take_turn(driven: Driven, reply: ChatReply, *, train: bool = True) -> Driven:
    """The model's turn, with its tokens counted."""
    return replace(
        driven,
        episode=act(driven.episode, reply.message, train=train),
        prompt_tokens=driven.prompt_tokens + reply.prompt_tokens,
        completion_tokens=driven.completion_tokens + reply.completion_tokens,
        cut=driven.cut + (reply.finish_reason == "length"),
    )


async def use_tool(driven: Driven, tools: EpisodeTools) -> Driven:
    """The pending tool's result."""
    pending = driven.episode.pending
    assert pending is not None
    result = await tools.run(pending, driven.episode.images[pending.on_image])
    return replace(driven, episode=observe(driven.episode, result), evidence=(*driven.evidence, result.evidence))


def speaker(
    gateway: Gateway,
    policy: Policy,
    sampling: Sampling,
    sample_index: int,
    tools: tuple[Mapping[str, Any], ...],
    prompt_hash: str,
    purpose: str,
) -> Speak:
    """A `Speak` that asks `policy` through the one door."""

    async def speak(episode: Episode) -> ChatReply:
        request = ChatRequest(episode.seen, tools, sampling, sample_index, prompt_hash)
        return await gateway.chat(policy, request, purpose)

    return speak

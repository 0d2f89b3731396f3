"""Our async driver of the episode: synthesis, labelling and evaluation run through it.

The driver asks a model for each turn and runs the tool that the machine waits for. A failing model or tool ends
the episode with its `ServiceError` in `Driven.failure`, and what came before is kept: that is the infrastructure's
failure, never the model's.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gog.schemas import EpisodeImage, Evidence, Hit, Message, Tool, content_id
from gog.transforms.episode.crops import Cropper
from gog.transforms.episode.machine import Episode, ToolRequest, ToolResult, act, observe
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.protocols import (
    ChatReply,
    ChatRequest,
    ImageSearch,
    Policy,
    Sampling,
    ServiceError,
    TextSearch,
)

Speak = Callable[[Episode], Awaitable[ChatReply]]
"""Asks a model for the episode's next turn."""


@dataclass(frozen=True, slots=True)
class EpisodeTools:
    """The tools of an episode over real or embedded services."""

    gateway: Gateway
    text_search: TextSearch
    image_search: ImageSearch
    cropper: Cropper
    top_k: int
    purpose: str = "episode"

    async def run(self, request: ToolRequest, original: EpisodeImage) -> ToolResult:
        """Run one tool. Raises `ToolError` when the service failed."""
        try:
            if request.tool is Tool.TEXT_SEARCH:
                assert request.query is not None
                hits = await self.gateway.text_search(self.text_search, request.query, self.top_k, self.purpose)
                return ToolResult(evidence_of(request, hits, self.text_search.id))
            cut: EpisodeImage | None = None
            if request.box is not None:
                cut = await self.cropper.crop(original, request.box)
            searched = cut or original
            hits = await self.gateway.image_search(self.image_search, searched.sha256, self.top_k, self.purpose)
            return ToolResult(evidence_of(request, hits, self.image_search.id, searched), cut)
        except ServiceError as error:
            raise ToolError(error.failure, f"{request.tool}: {error.detail}") from error


class ToolError(ServiceError):
    """A tool failed, not the model."""


def evidence_of(
    request: ToolRequest, hits: tuple[Hit, ...], provider: str, searched: EpisodeImage | None = None
) -> Evidence:
    """The evidence of a call that worked, with its content id."""
    box = searched.box if searched is not None and request.tool is Tool.GAZE else None
    sha256 = searched.sha256 if searched is not None else None
    identity = [request.tool, request.query, sha256, box, provider, [hit.model_dump(mode="json") for hit in hits]]
    return Evidence(
        evidence_id=content_id("evidence", identity),
        tool=request.tool,
        query=request.query,
        image_sha256=sha256,
        box=box,
        hits=hits,
        provider=provider,
    )


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
            if driven.episode.pending is not None:
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
    result = await tools.run(pending, driven.episode.images[0])
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
        messages: tuple[Message, ...] = episode.messages
        request = ChatRequest(messages, tools, sampling, sample_index, prompt_hash)
        return await gateway.chat(policy, request, purpose)

    return speak

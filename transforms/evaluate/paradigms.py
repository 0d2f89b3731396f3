"""How a policy is made to answer: without tools, prompted to search, along a fixed workflow, or as it was trained.

Source: Glance-or-Gaze, arXiv 2601.13942, the groups of its table of results.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

from gog.prompts import render
from gog.schemas import Function, Message, Origin, Seed, ToolCall
from gog.transforms.dialect.turns import Call, parse_turn
from gog.transforms.episode.driver import Driven, take_turn, use_tool
from gog.transforms.episode.machine import EpisodeSettings, offered_tools, start
from gog.transforms.episode.tools import known_tools
from gog.transforms.episode.tools.text_search import MAX_QUERY
from gog.transforms.episode.trajectory import Making, images_of, make_trajectory
from gog.transforms.services.protocols import ChatReply, ChatRequest, Policy, ServiceError
from gog.transforms.synthesize.rollout import Attempt, RolloutSettings, broken, finished, rollout
from gog.transforms.synthesize.services import Services

_FULL_SEARCH_TURNS: Final = 4
"""Two searches, an answer, and one more chance for it."""


class Paradigm(StrEnum):
    """How a policy answers."""

    DIRECT = "direct"
    """Without tools."""
    PROMPTED = "prompted"
    """With all tools, under the teacher's prompt, which explains how to search with one's eyes."""
    FULL_SEARCH = "full-search"
    """One search with the whole image and one in text, always and nothing else; then the answer."""
    POLICY = "policy"
    """With all tools, under the policy's own prompt: what training taught."""


async def answer(
    services: Services,
    policy: Policy,
    seed: Seed,
    paradigm: Paradigm,
    settings: RolloutSettings,
    episode: EpisodeSettings,
) -> Attempt:
    """One attempt at the seed, without hints. A failed call is a reject with the infrastructure's reason."""
    purpose = paradigm.value
    match paradigm:
        case Paradigm.DIRECT:
            alone = episode.model_copy(update={"tools": ()})
            return await rollout(services, policy, seed, (), 0, settings, alone, teacher=False, purpose=purpose)
        case Paradigm.FULL_SEARCH:
            return await _full_search(services, policy, seed, settings, episode)
        case _:
            prompted = paradigm is Paradigm.PROMPTED
            return await rollout(services, policy, seed, (), 0, settings, episode, teacher=prompted, purpose=purpose)


async def _full_search(
    services: Services, policy: Policy, seed: Seed, settings: RolloutSettings, episode: EpisodeSettings
) -> Attempt:
    """The workflow as an episode; the searches that a policy does not ask for are made for it."""
    prompt = render("evaluate/full_search")
    purpose = Paradigm.FULL_SEARCH.value
    fixed: dict[str, Any] = {"max_turns": _FULL_SEARCH_TURNS, "calls_per_turn": 1, "image_query": False}
    fixed |= {"tools": ("text_search", "image_search")}
    limits = episode.model_copy(update=fixed)
    tools = services.tools(limits.top_k, purpose)

    async def speak(driven: Driven, *offered: str) -> ChatReply:
        schemas = offered_tools(limits.model_copy(update={"tools": offered}))
        request = ChatRequest(driven.episode.seen, schemas, settings.sampling, 0, prompt.hash)
        return await services.gateway.chat(policy, request, purpose)

    driven = Driven(start(limits, seed.question, images_of(seed), prompt.text))
    try:
        driven = take_turn(driven, ChatReply(_calling("image_search", {}, 0)), train=False)
        driven = await use_tool(driven, tools)
        driven = _searching(driven, await speak(driven, "text_search"), seed)
        driven = await use_tool(driven, tools)
        # What is left is to answer: a further call is a mistake.
        driven = _with_settings(driven, limits.model_copy(update={"tools": ()}))
        while driven.episode.stop is None:
            driven = take_turn(driven, await speak(driven))
    except ServiceError as error:
        return broken(seed, 0, error, driven.evidence)
    making = Making(Origin.ROLLOUT, policy.id, 0, {"evaluate/full_search": prompt.hash})
    return finished(seed, make_trajectory(seed, _with_settings(driven, limits), making), driven.evidence, driven.cut)


def _with_settings(driven: Driven, settings: EpisodeSettings) -> Driven:
    return replace(driven, episode=replace(driven.episode, settings=settings))


def _searching(driven: Driven, reply: ChatReply, seed: Seed) -> Driven:
    """The turn that searches text: the policy's, or one that searches for the question itself.

    In that one the policy's reasoning and tokens stay; what it did instead of searching, an early answer say, is gone.
    """
    parsed = parse_turn(reply.message, 1, known_tools())
    if isinstance(parsed.action, Call) and parsed.action.tool == "text_search":
        return take_turn(driven, reply)
    query = " ".join(seed.question.split())[:MAX_QUERY]
    forced = _calling("text_search", {"query": query}, 1, parsed.message.reasoning_content)
    return take_turn(driven, replace(reply, message=forced), train=False)


def _calling(tool: str, arguments: Mapping[str, Any], turn: int, thought: str | None = None) -> Message:
    function = Function(name=tool, arguments=json.dumps(arguments, ensure_ascii=False))
    call = ToolCall(id=f"call_{turn}", function=function)
    return Message(role="assistant", content="", reasoning_content=thought, tool_calls=(call,))

"""Synthesize by composing: all promising searches run, a plan is drawn, the teacher writes the turns along it.

The teacher sees the image, the question, what the tools returned so far and the next action; never the gold answer.
"""

import json
from collections.abc import Mapping
from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from gog.prompts import prompt_hash, render
from gog.schemas import (
    Behaviour,
    Evidence,
    Function,
    Message,
    Origin,
    Region,
    Seed,
    ToolCall,
)
from gog.schemas.boxes import to_frame
from gog.transforms.dialect.turns import Answer, Call, parse_turn, plain_text
from gog.transforms.episode.driver import Driven, OnTurn, take_turn, use_tool
from gog.transforms.episode.machine import EpisodeSettings, offered_tools, start, system_prompt
from gog.transforms.episode.reflection import reflection_of
from gog.transforms.episode.tool import EpisodeTools
from gog.transforms.episode.trajectory import Making, images_of, make_trajectory
from gog.transforms.services.protocols import ChatReply, ChatRequest, ServiceError
from gog.transforms.synthesize.focus import find_focus
from gog.transforms.synthesize.look import look_around
from gog.transforms.synthesize.plans import Plan, PlannedAction, draw_plan
from gog.transforms.synthesize.queries import names_a_find
from gog.transforms.synthesize.rollout import Attempt, RolloutSettings, broken, finished, reject_attempt
from gog.transforms.synthesize.services import Services


class ComposeSettings(BaseModel):
    """What plans are drawn from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: dict[Behaviour, float] = Field(
        default_factory=lambda: {Behaviour.GLANCE: 1.0, Behaviour.GAZE: 1.0, Behaviour.MIXED: 1.0}
    )
    """How often plans of a behaviour are drawn, against one another."""
    reflective_share: float = Field(default=0.5, ge=0, le=1)
    """Share of plans that begin with a search that missed, where there is one."""
    searches: int = Field(default=8, ge=1)
    """Gazes to run before a plan is drawn, besides the glance, at most: four at a time, until one names the target."""


class OffPlanError(Exception):
    """The teacher did not write the turn that was asked for."""


async def compose(
    services: Services,
    seed: Seed,
    regions: tuple[Region, ...],
    sample_index: int,
    settings: ComposeSettings,
    sampling: RolloutSettings,
    episode: EpisodeSettings,
    run_seed: int,
    on_turn: OnTurn | None = None,
) -> Attempt:
    """One composed attempt, or its reject."""
    tools = services.tools(episode.top_k, "compose")

    def reject(reason: str, detail: str, evidence: tuple[Evidence, ...] = ()) -> Attempt:
        return Attempt(seed, evidence=evidence, reject=reject_attempt(seed, sample_index, reason, detail))

    try:
        looked = await look_around(seed, regions, settings.searches, episode, tools)
    except ServiceError as error:
        return broken(seed, sample_index, error)
    seen = tuple(look.evidence for look in looked)
    try:
        focus, unknown = await find_focus(services, seed, looked)
    except ServiceError as error:
        return broken(seed, sample_index, error, seen)
    key = f"{run_seed}/{seed.seed_id}/{sample_index}"
    text_helps = "text_search" in episode.tools
    plan = draw_plan(looked, focus, settings.weights, settings.reflective_share, key, text_helps=text_helps)
    if plan is None:
        return reject("compose.no_plan", unknown or "no kind of plan that has a weight fits what was found", seen)
    driven, off_plan = await _write(services, seed, plan, sample_index, sampling, episode, tools, on_turn)
    if off_plan:
        return reject("compose.off_plan", off_plan, _once((*seen, *driven.evidence)))
    if driven.failure is not None:
        return broken(seed, sample_index, driven.failure, _once((*seen, *driven.evidence)))
    making = Making(
        Origin.COMPOSE,
        services.teacher.id,
        sample_index,
        {name: prompt_hash(name) for name in ("episode/teacher", "compose/turn")},
        plan=plan.name,
        plan_used_gold=plan.used_gold,
    )
    return finished(seed, make_trajectory(seed, driven, making), driven.evidence, driven.cut)


def _once(evidence: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    """Each piece of evidence once, in order."""
    return tuple({item.evidence_id: item for item in evidence}.values())


async def _write(
    services: Services,
    seed: Seed,
    plan: Plan,
    sample_index: int,
    sampling: RolloutSettings,
    episode: EpisodeSettings,
    tools: EpisodeTools,
    on_turn: OnTurn | None,
) -> tuple[Driven, str]:
    """The episode along the plan as far as it came, and where the teacher left the plan."""
    system, _ = system_prompt(episode, teacher=True)
    driven = Driven(start(episode, seed.question, images_of(seed), system))
    try:
        for action in plan.actions:
            reply = await _turn(services, seed, driven, action, sample_index, sampling, episode)
            driven = take_turn(driven, reply, train=action.train)
            if on_turn is not None:
                on_turn(driven)
            while driven.episode.pending is not None:
                driven = await use_tool(driven, tools)
                if on_turn is not None:
                    on_turn(driven)
            if driven.episode.stop is not None:
                break
    except OffPlanError as error:
        return driven, str(error)
    except ServiceError as error:
        return replace(driven, failure=error), ""
    return driven, ""


async def _turn(
    services: Services,
    seed: Seed,
    driven: Driven,
    action: PlannedAction,
    sample_index: int,
    sampling: RolloutSettings,
    episode: EpisodeSettings,
) -> ChatReply:
    """The teacher's words for one planned action; a gaze or a glance is given the planned place exactly."""
    arguments = _arguments(action, seed, episode)
    wanted = "answer" if action.tool is None else f"{action.tool} {json.dumps(arguments, ensure_ascii=False)}"
    if action.tool == "text_search":
        wanted = 'text_search {"query": a query of your own for the fact that is missing}'
    after = any(step.evidence_ids for step in driven.episode.steps)
    note = render(
        "compose/turn",
        action=wanted,
        after_evidence=after,
        reflection=str(action.reflection or "").replace("_", " "),
        answer=action.tool is None,
    )
    request = ChatRequest(
        (*driven.episode.seen, Message(role="user", content=note.text)),
        offered_tools(episode),
        sampling.sampling,
        sample_index,
        note.hash,
    )
    reply = await services.gateway.chat(services.teacher, request, "compose")
    parsed = parse_turn(reply.message, driven.episode.turns, episode.known)
    said = reflection_of(plain_text(parsed.message))
    if after and action.reflection is not None and said is not action.reflection:
        raise OffPlanError(f"turn {driven.episode.turns} should say {action.reflection}, it says {said}")
    match parsed.action:
        case Answer() if action.tool is None:
            return reply
        case Call(tool=tool, arguments=written) if tool == action.tool:
            # What is searched is the plan's; words are the teacher's own, never the detector's.
            own = {name: written[name] for name in ("query", "label") if name in written}
            if tool == "text_search" and not names_a_find(str(own.get("query", "")), seed.question, driven.evidence):
                raise OffPlanError(f"turn {driven.episode.turns} should search by a name that was found")
            return _with_arguments(reply, parsed.message, tool, arguments | own, driven.episode.turns)
    raise OffPlanError(f"turn {driven.episode.turns} should be {action.tool or 'an answer'}")


def _arguments(action: PlannedAction, seed: Seed, episode: EpisodeSettings) -> dict[str, JsonValue]:
    if action.region is None:
        return {"image": action.on_image} if action.on_image else {}
    picture = images_of(seed)[action.on_image]
    box = to_frame(action.region.box, episode.spec, picture.width, picture.height)
    return {"bbox_2d": list(box), "image": action.on_image}


def _with_arguments(
    reply: ChatReply, message: Message, tool: str, arguments: Mapping[str, JsonValue], turn: int
) -> ChatReply:
    function = Function(name=tool, arguments=json.dumps(arguments, ensure_ascii=False))
    call = ToolCall(id=f"call_{turn}", function=function)
    return replace(reply, message=message.model_copy(update={"tool_calls": (call,)}))

"""Whether a teacher keeps to the form of an episode: three small requests, as a run would make them.

The form is what rows are made of: a turn calls one tool or answers; after a result it begins with what that is worth
("Evidence: off target."); and it does what the note of a composed attempt asks for. Pure.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gog.prompts import render
from gog.schemas import EpisodeImage, Function, Message, Reflection, ToolCall
from gog.transforms.dialect.turns import Call, Mistake, parse_turn, plain_text
from gog.transforms.episode.machine import EpisodeSettings, offered_tools, start, system_prompt
from gog.transforms.episode.reflection import reflection_of
from gog.transforms.episode.tools import known_tools
from gog.transforms.services.protocols import ChatReply, ChatRequest, Sampling

_QUERY = "flag with a star"
_FOUND = (
    "text_search found 1 result.\n"
    "[1] How to fold a napkin | score 0.11 | https://napkins.example/\n"
    "    Fold the napkin in half, and then in half again."
)
"""A result that is off target, whatever the picture shows."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What of the form a teacher does not keep to, and what to do."""

    found: str
    advice: str
    fatal: bool = False
    """No attempt can come out well."""


def form_requests(
    episode: EpisodeSettings, question: str, images: Sequence[EpisodeImage], sampling: Sampling, *, composed: bool
) -> dict[str, ChatRequest]:
    """The requests, by name: a first turn, one after a result, and one with the note of a composed attempt."""
    system, prompt_hash = system_prompt(episode, teacher=True)
    first = ChatRequest(
        start(episode, question, images, system).messages, offered_tools(episode), sampling, prompt_hash=prompt_hash
    )
    requests = {"first": first}
    if "text_search" not in episode.tools:
        return requests
    call = ToolCall(id="call_0", function=Function(name="text_search", arguments=json.dumps({"query": _QUERY})))
    asked = Message(role="assistant", reasoning_content="I look for a name.", tool_calls=(call,))
    came = Message(role="tool", tool_call_id="call_0", content=_FOUND)
    after = replace(first, messages=(*first.messages, asked, came))
    requests["after"] = after
    if composed:
        action = 'text_search {"query": a query of your own for the fact that is missing}'
        note = render("compose/turn", action=action, after_evidence=True, reflection="off target", answer=False)
        told = Message(role="user", content=note.text)
        requests["note"] = replace(after, messages=(*after.messages, told), prompt_hash=note.hash)
    return requests


def form_faults(replies: Mapping[str, ChatReply]) -> list[Fault]:
    """What of the form the replies do not keep to, the worst first."""
    faults = [fault for reply in replies.values() if (fault := cut_before_words(reply))][:1]
    if faults:
        return faults
    said = {name: parse_turn(reply.message, 0, known_tools()) for name, reply in replies.items()}
    judged = {name: reflection_of(plain_text(turn.message)) for name, turn in said.items()}
    if isinstance(mistake := said["first"].action, Mistake):
        words = " ".join(plain_text(said["first"].message).split())[:120]
        advice = "see its tool parser and chat template (vLLM: --enable-auto-tool-choice, --tool-call-parser)"
        faults.append(Fault(f"it neither calls a tool nor answers ({mistake.code}: {words!r})", advice, fatal=True))
    if "after" in said and judged["after"] is None:
        advice = (
            "attempts without it are not reflective, and composed ones leave as compose.off_plan: name a teacher that "
            "follows its system prompt, or set synthesize.composed to 0"
        )
        faults.append(Fault("after a result it does not say what that is worth (no `Evidence:` line)", advice))
    elif "note" in said:
        action = said["note"].action
        kept = isinstance(action, Call) and action.tool == "text_search" and judged["note"] is Reflection.OFF_TARGET
        if not kept:
            advice = (
                "composed attempts leave as compose.off_plan: name another teacher, or set synthesize.composed to 0"
            )
            faults.append(Fault("it does not do what the note of a composed attempt asks for", advice))
    return faults


def cut_before_words(reply: ChatReply) -> Fault | None:
    """Whether a reply reached its limit before it said anything."""
    if reply.finish_reason != "length" or reply.message.text or reply.message.tool_calls:
        return None
    found = f"it reached its limit after {reply.completion_tokens:,} tokens of thought, before it said anything"
    return Fault(found, "set thinking_tokens for it under models, such as 8192", fatal=True)

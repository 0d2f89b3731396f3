"""The planner as a chat model: reads a request, decides which task it is, and replies.

It sees what a model sees: messages, pictures by hash, the tools on offer. It is a rule-based program.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from gog.schemas import Frame, FrameSpec, Function, Message, ToolCall
from gog.schemas.boxes import to_frame
from gog.transforms.atlas.planner.chance import Chance, digest
from gog.transforms.atlas.planner.dialogue import Dialogue, frame_of, read_dialogue
from gog.transforms.atlas.planner.eyes import Eyes
from gog.transforms.atlas.planner.judge import (
    grade_prediction,
    judge_answer,
    judge_grounding,
    judge_leak,
    judge_response,
)
from gog.transforms.atlas.planner.next_action import next_move
from gog.transforms.atlas.planner.request import UNKNOWN, Move, PlannerState
from gog.transforms.atlas.planner.tasks import planned_turn, proposals, without_tools
from gog.transforms.dialect.observations import estimate_tokens
from gog.transforms.image_store import ImageStore
from gog.transforms.services.protocols import ChatReply, ChatRequest
from gog.transforms.services.provider import ProviderError

VERSION = 2
DOES_NOT_KNOW = (
    "I am a rule-based program that answers questions about flags in pictures, judges short answers and proposes "
    "regions. I do not know this task."
)
_NOTE = "Write the next turn of this episode."
_PROPOSE = "List the regions of the image"
_JUDGING = {
    "You judge an answer to a question.": judge_answer,
    "You decide whether a response to a question about a picture is correct": judge_response,
    "You grade a predicted answer to a question": grade_prediction,
    "You judge whether evidence supports an answer.": judge_grounding,
    "You look for leaks in notes": judge_leak,
}
"""How a note begins that asks for a judgement, and what answers it."""
_SCREEN = "Answer the question from the image and from what you know"
_PIXELS = re.compile(r"\((\d{1,5}) x (\d{1,5}) pixels\)")
_PATCH = 28 * 28


def planner_id(skill: float) -> str:
    """Id of a planner of that skill."""
    return f"planner:{VERSION}?skill={skill:g}"


def skill_of(address: str) -> float:
    """The skill in `planner:skill=0.85`, 0.85 unless it is named. Raises `ProviderError` on anything else."""
    pairs = (part.partition("=") for part in address.partition(":")[2].split(",") if part)
    options = {key.strip(): value.strip() for key, _, value in pairs}
    if unknown := options.keys() - {"skill"}:
        raise ProviderError(f"{address}: unknown option {', '.join(sorted(unknown))}; planner knows skill")
    try:
        skill = float(options.get("skill", "0.85"))
    except ValueError:
        skill = -1.0
    if not 0 <= skill <= 1:
        raise ProviderError(f"{address}: skill is a number from 0 to 1")
    return skill


class Planner:
    """The embedded rule-based model, as a `Policy`. Skill 1 errs only where its eyes do; 0 errs nearly always."""

    def __init__(self, images: ImageStore, skill: float = 0.85) -> None:
        """`images` holds the pictures by hash. Raises `ValueError` unless the skill is between 0 and 1."""
        if not 0 <= skill <= 1:
            raise ValueError(f"the planner's skill is between 0 and 1, not {skill}")
        self._eyes = Eyes(images)
        self._skill = skill
        self.id = planner_id(skill)

    async def complete(self, request: ChatRequest) -> ChatReply:
        """One reply; never raises on what the messages say."""
        pictures = (sha256 for message in request.messages for sha256 in message.images)
        if first := next(pictures, ""):
            await self._eyes.open(first)
        return self.reply(request)

    def reply(self, request: ChatRequest) -> ChatReply:
        """`complete`, without waiting."""
        message = self._message(request)
        spoken = (message.reasoning_content or "") + message.text
        spoken += "".join(call.function.arguments for call in message.tool_calls)
        return ChatReply(
            message,
            "tool_calls" if message.tool_calls else "stop",
            prompt_tokens=self._prompt_tokens(request.messages),
            completion_tokens=max(1, estimate_tokens(spoken)),
        )

    def _message(self, request: ChatRequest) -> Message:
        messages = request.messages
        note = messages[-1].text.lstrip() if messages and messages[-1].role == "user" else ""
        if judging := next((answer for start, answer in _JUDGING.items() if note.startswith(start)), None):
            return _plain(judging(note))
        if note.startswith(_PROPOSE):
            seen = messages[-1].images
            return _plain(proposals(note, self._eyes.look(seen[0] if seen else ""), frame_of(note)))
        composing = note.startswith(_NOTE) and len(messages) > 1
        episode = messages[:-1] if composing else messages
        dialogue = read_dialogue(episode)
        if dialogue is None:
            return _plain(DOES_NOT_KNOW)
        state = self._state(request, dialogue)
        turn = sum(message.role == "assistant" for message in episode)
        if composing:
            move, name, arguments = planned_turn(state, note)
            return _calling(move.thought, name, arguments, turn) if name else _answering(move)
        screening = any(m.role == "system" and m.text.lstrip().startswith(_SCREEN) for m in messages)
        if screening or (not state.tools and not dialogue.past):
            return _answering(without_tools(state))
        return _spoken(next_move(state), dialogue, turn, state.chance)

    def _state(self, request: ChatRequest, dialogue: Dialogue) -> PlannerState:
        temperature = request.sampling.temperature
        seed = digest(self.id, _canonical(request.messages), str(request.sample_index), f"{temperature:g}")
        tools = frozenset(filter(None, map(_tool_name, request.tools)))
        sight = self._eyes.look(dialogue.image)
        return PlannerState(dialogue, sight, tools, Chance(seed, temperature), self._skill)

    def _prompt_tokens(self, messages: Sequence[Message]) -> int:
        tokens = 0
        for message in messages:
            text = message.text
            tokens += 4 + estimate_tokens(text + (message.reasoning_content or ""))
            if images := message.images:
                size = _PIXELS.search(text[:200])
                tokens += len(images) * (int(size[1]) * int(size[2]) // _PATCH if size else 1000)
        return tokens


def _tool_name(tool: Any) -> str:
    function = tool.get("function") if isinstance(tool.get("function"), dict) else tool
    name = function.get("name")
    return name if isinstance(name, str) else ""


def _canonical(messages: Sequence[Message]) -> str:
    """The messages as one text, pictures by hash: equal messages give equal texts."""
    parts: list[str] = []
    for message in messages:
        parts += (message.role, message.text, *message.images, message.reasoning_content or "")
        for call in message.tool_calls:
            parts += (call.function.name, call.function.arguments)
    return "\x1e".join(parts)


def _plain(text: str) -> Message:
    return Message(role="assistant", content=text)


def _answering(move: Move) -> Message:
    answer = " ".join(move.answer.replace("<", "‹").split())[:300] or UNKNOWN
    return Message(role="assistant", content=f"<answer>{answer}</answer>", reasoning_content=move.thought)


def _calling(thought: str, name: str, arguments: str, turn: int) -> Message:
    call = ToolCall(id=f"call_{turn}", function=Function(name=name, arguments=arguments))
    return Message(role="assistant", content="", reasoning_content=thought, tool_calls=(call,))


def _spoken(move: Move, dialogue: Dialogue, turn: int, chance: Chance) -> Message:
    if move.box is not None:
        box = list(to_frame(move.box, FrameSpec(dialogue.frame), max(1, dialogue.width), max(1, dialogue.height)))
        if dialogue.frame is Frame.FRACTION:
            box = [round(value, 4) for value in box]
        arguments = json.dumps({"bbox_2d": box, "label": move.label, "image": 0})
        if move.broken:
            gateway = json.dumps({"bbox_2d": [value * 3 + 1 for value in box], "label": move.label, "image": 0})
            arguments = chance.pick((arguments[:-12], json.dumps({"bbox_2d": box[:3]}), gateway))
        return _calling(move.thought, "gaze", arguments, turn)
    if move.query:
        return _calling(move.thought, "text_search", json.dumps({"query": move.query}, ensure_ascii=False), turn)
    if move.glance:
        return _calling(move.thought, "image_search", "{}", turn)
    return _answering(move)

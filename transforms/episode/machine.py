"""The episode: a pure state machine that all drivers share.

    episode = start(settings, question, image, system)
    while episode.stop is None:
        episode = act(episode, message_of_the_model)
        if episode.pending is not None:
            episode = observe(episode, result_of_the_tool)

`act` and `observe` return a new state and do no work outside: no search, no pixels. Source: Glance-or-Gaze, arXiv
2601.13942, "Selective Gaze"; the limits are ours (design section 5).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from gog.prompts import render
from gog.schemas import (
    WHOLE,
    Behaviour,
    Box,
    EpisodeImage,
    Fold,
    Frame,
    FrameSpec,
    ImagePart,
    Message,
    Reflection,
    Step,
    StopReason,
    TextPart,
    content_id,
)
from gog.schemas.boxes import iou, shown_size
from gog.transforms.dialect.observations import clip_tokens, neutralise
from gog.transforms.dialect.turns import FRAME_TEXT, Answer, Call, Mistake, parse_turn, plain_text
from gog.transforms.episode.folding import folded, seen
from gog.transforms.episode.mcp_tool import McpTool
from gog.transforms.episode.observation import illustrated, shown
from gog.transforms.episode.reflection import reflection_of
from gog.transforms.episode.tool import Scene, Tool, ToolRequest, ToolResult
from gog.transforms.episode.tools import BUILT_IN, TOOLS, known_tools, own_names, servers_among, tools_of
from gog.transforms.services.mcp.address import parse_address
from gog.transforms.services.mcp.pinned import PinnedTool


class EpisodeSettings(BaseModel):
    """Limits and frame of an episode."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_turns: int = Field(default=8, ge=1)
    """Turns of the model, that of the answer included; after them the episode ends without one."""
    max_images: int = Field(default=6, ge=1)
    """Images in all, the original included."""
    max_strikes: int = Field(default=3, ge=1)
    """Turns that cannot be read as a call or an answer, at the last of which it ends."""
    observation_tokens: int = Field(default=800, ge=50)
    """Length of what a search shows, estimated by bytes."""
    top_k: int = Field(default=5, ge=1, le=20)
    """Hits of a search."""
    fold: int = Field(default=0, ge=0)
    """After how many turns, and again after as many, what tools told before is shortened for the model; 0: never."""
    frame: Frame = Frame.PER_MILLE
    """In what numbers boxes are written; an export has its backbone's whatever this is."""
    factor: int = 28
    """Pixels of a visual token's side, for `resized_pixels`."""
    min_pixels: int = 3136
    """Least pixels of the resized image, for `resized_pixels`."""
    max_pixels: int = 1003520
    """Most pixels of the resized image, for `resized_pixels`."""
    tools: tuple[str, ...] = BUILT_IN
    """Names of tools, ours or of installed packages, dotted paths (`my_pkg.my_mod:TOOL`), or servers of tools
    (`mcp:https://HOST/mcp`, `mcp:stdio:COMMAND`)."""
    pinned: tuple[PinnedTool, ...] = ()
    """What those servers offer, as a run that begins writes it down; a copy of it lets a replay begin without them."""

    @field_validator("tools")
    @classmethod
    def _there(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known_tools(own_names(names))
        for name in servers_among(names):
            parse_address(name)
        return names

    @model_validator(mode="after")
    def _apart(self) -> "EpisodeSettings":
        taken = {tool.name for tool in known_tools(own_names(self.tools))} | {"answer", "none"}
        for pinned in self.pinned:
            if pinned.called in taken:
                raise ValueError(
                    f"{pinned.server} has a tool that is called {pinned.called!r}, as another is: give it a name with "
                    f"#{pinned.name}=NAME behind the address"
                )
            taken.add(pinned.called)
        return self

    @property
    def offered(self) -> tuple[Tool, ...]:
        """The tools that the episode offers."""
        return (*tools_of(own_names(self.tools)), *self._of_servers)

    @property
    def known(self) -> tuple[Tool, ...]:
        """The tools whose calls are read: also those of ours that are not offered, to say that they are not there."""
        return (*known_tools(own_names(self.tools)), *self._of_servers)

    @property
    def _of_servers(self) -> tuple[Tool, ...]:
        return tuple(map(McpTool, self.pinned))

    @property
    def spec(self) -> FrameSpec:
        """The frame with the numbers that a conversion needs."""
        return FrameSpec(self.frame, self.factor, self.min_pixels, self.max_pixels)

    def in_frame(self, spec: FrameSpec) -> "EpisodeSettings":
        """The same limits, with boxes in another frame: a backbone's, for example."""
        return self.model_copy(update=spec._asdict())


@dataclass(frozen=True, slots=True)
class Episode:
    """State of one episode; see the module."""

    settings: EpisodeSettings
    messages: tuple[Message, ...]
    images: tuple[EpisodeImage, ...]
    steps: tuple[Step, ...] = ()
    strikes: int = 0
    pending: ToolRequest | None = None
    stop: StopReason | None = None
    answer: str | None = None
    results: tuple[str | None, ...] = ()
    """Of each result that was shown with a number, from number 1, the picture that it has."""
    folds: tuple[Fold, ...] = ()

    @property
    def seen(self) -> tuple[Message, ...]:
        """The chat as the model sees it: the messages, or what takes their place up to the last fold."""
        return seen(self.messages, self.folds)

    @property
    def turns(self) -> int:
        """Turns that the model has taken."""
        return len(self.steps)


def system_prompt(settings: EpisodeSettings, *, teacher: bool = False) -> tuple[str, str]:
    """Text and hash of the system prompt: the policy's, or the teacher's."""
    name = "episode/teacher" if teacher else "episode/system"
    tools = [tool.name for tool in settings.offered]
    prompt = render(name, frame_text=FRAME_TEXT[settings.frame], max_turns=settings.max_turns, tools=tools)
    hints = [tool.hint for tool in settings.offered if tool.hint]
    if not hints:
        return prompt.text, prompt.hash
    more = render("episode/more_tools", hints=hints)
    return f"{prompt.text}\n\n{more.text}", content_id("prompt", [prompt.hash, more.hash, hints])


def offered_tools(settings: EpisodeSettings) -> tuple[dict[str, JsonValue], ...]:
    """JSON schemas of the tools that the episode offers."""
    return tuple(tool.schema(settings.frame) for tool in settings.offered)


def start(
    settings: EpisodeSettings, question: str, image: EpisodeImage, system: str, *, hints: str | None = None
) -> Episode:
    """The first state: system prompt, image 0 and question; `hints` are a text part of their own."""
    width, height = shown_size(settings.spec, image.width, image.height)
    asked = render("episode/question", width=width, height=height, question=neutralise(question))
    parts = [ImagePart(image=image.sha256), TextPart(text=asked.text)]
    if hints is not None:
        parts.append(TextPart(text=hints))
    messages = (Message(role="system", content=system), Message(role="user", content=tuple(parts)))
    return Episode(settings, messages, (image.model_copy(update={"box": WHOLE}),))


def act(episode: Episode, message: Message, *, train: bool = True) -> Episode:
    """Take the model's turn. Leaves the episode waiting for a tool, stopped, or ready for the next turn.

    `train=False` marks a turn that the loss must not see (a planned wrong action).
    """
    if episode.stop is not None or episode.pending is not None:
        raise RuntimeError("the episode is not waiting for the model")
    parsed = parse_turn(message, episode.turns, episode.settings.known)
    after_evidence = any(step.evidence_ids for step in episode.steps)
    reflection = reflection_of(plain_text(parsed.message)) if after_evidence else None
    episode = replace(episode, messages=(*episode.messages, parsed.message))
    step = Step(turn=episode.turns, action="none", reflection=reflection, train=train)
    match parsed.action:
        case Answer(text=text):
            step = step.model_copy(update={"action": "answer", "arguments": {"text": text}})
            return replace(episode, steps=(*episode.steps, step), stop=StopReason.ANSWERED, answer=text)
        case Mistake() as mistake:
            return _strike(episode, step, mistake, parsed.ignored)
        case Call() as call:
            step = step.model_copy(update={"error": parsed.slip})
            return _call(episode, step, call, parsed.ignored)


def _call(episode: Episode, step: Step, call: Call, ignored: Sequence[str]) -> Episode:
    step = step.model_copy(update={"action": call.tool, "arguments": call.arguments})
    resolved = _resolve(episode, call)
    if isinstance(resolved, Mistake):
        return _strike(episode, step, resolved, ignored)
    if resolved.box is not None and resolved.found is None:
        step = step.model_copy(update={"box": resolved.box})
    if _asked(step) in [_asked(earlier) for earlier in episode.steps if earlier.evidence_ids]:
        step = step.model_copy(update={"error": "repeated"})
        note = f"{call.tool}: already done, the result is above. Do something else or answer."
        return _next_turn(_told(episode, note, call.call_id, ignored), step)
    return replace(episode, steps=(*episode.steps, step), pending=replace(resolved, ignored=tuple(ignored)))


def _asked(step: Step) -> tuple[str, Box | Mapping[str, JsonValue]]:
    """What a step asked for: what is asked for again is a repetition, however it is written."""
    return step.action, step.arguments if step.box is None else step.box


def _resolve(episode: Episode, call: Call) -> ToolRequest | Mistake:
    settings = episode.settings
    tool = next((tool for tool in settings.offered if tool.name == call.tool), None)
    if tool is None:
        known = ", ".join(tool.name for tool in settings.offered)
        rest = f"the tools are {known}" if known else "answer"
        return Mistake("unknown_tool", f"There is no tool {call.tool}; {rest}.", call.call_id)
    return tool.resolve(call, Scene(episode.images, settings.spec, settings.max_images, episode.results))


def observe(episode: Episode, result: ToolResult) -> Episode:
    """Give the pending tool's result to the model."""
    pending, settings = episode.pending, episode.settings
    if pending is None:
        raise RuntimeError("the episode is not waiting for a tool")
    numbered = any(tool.takes_result for tool in settings.offered)
    text, results = shown(pending.tool, result.evidence, settings.observation_tokens, episode.results, numbered)
    text += _last_turn_note(episode, episode.turns)
    content, pictures = illustrated(text, result, len(episode.images), settings.max_images, settings.spec)
    evidence = result.evidence
    step = episode.steps[-1].model_copy(update={"evidence_ids": () if evidence.failure else (evidence.evidence_id,)})
    message = Message(role="tool", content=content, tool_call_id=pending.call_id)
    episode = replace(
        episode,
        messages=(*episode.messages, message),
        images=(*episode.images, *pictures),
        steps=(*episode.steps[:-1], step),
        pending=None,
        results=results,
    )
    return _go_on(_refuse(episode, pending.ignored))


def _last_turn_note(episode: Episode, taken: int) -> str:
    left = episode.settings.max_turns - taken
    return "\n(One turn is left: answer now.)" if left == 1 else ""


def _refuse(episode: Episode, ignored: Sequence[str]) -> Episode:
    """Answer the calls after the first: one call a turn."""
    told = tuple(
        Message(role="tool", content="Not done: one call a turn.", tool_call_id=call_id) for call_id in ignored
    )
    return replace(episode, messages=(*episode.messages, *told)) if told else episode


def _told(episode: Episode, note: str, call_id: str | None, ignored: Sequence[str]) -> Episode:
    """Answer the turn that is being taken with a note instead of a result."""
    note += _last_turn_note(episode, episode.turns + 1)
    if call_id is None:
        message = Message(role="user", content=note)
    else:
        message = Message(role="tool", content=note, tool_call_id=call_id)
    return _refuse(replace(episode, messages=(*episode.messages, message)), ignored)


_NOTE_TOKENS = 100


def _strike(episode: Episode, step: Step, mistake: Mistake, ignored: Sequence[str]) -> Episode:
    step = step.model_copy(update={"error": mistake.code})
    episode = replace(episode, strikes=episode.strikes + 1)
    if episode.strikes >= episode.settings.max_strikes:
        return replace(episode, steps=(*episode.steps, step), stop=StopReason.STRIKES)
    note = f"Error: {clip_tokens(neutralise(mistake.detail), _NOTE_TOKENS)}"
    return _next_turn(_told(episode, note, mistake.call_id, ignored), step)


def _next_turn(episode: Episode, step: Step) -> Episode:
    return _go_on(replace(episode, steps=(*episode.steps, step)))


def _go_on(episode: Episode) -> Episode:
    """The episode before its next turn: over, folded, or as it is."""
    if episode.turns >= episode.settings.max_turns:
        return replace(episode, stop=StopReason.OUT_OF_TURNS)
    if not episode.settings.fold or episode.turns % episode.settings.fold:
        return episode
    return replace(episode, folds=(*episode.folds, Fold(turn=episode.turns, messages=folded(episode.messages))))


def behaviour_of(episode: Episode) -> Behaviour:
    """Which kinds of search were used with a result: none is direct, several are mixed."""
    kinds = {tool.name: tool.behaviour for tool in episode.settings.known}
    used = {kind for step in episode.steps if step.evidence_ids and (kind := kinds[step.action]) is not None}
    if not used:
        return Behaviour.DIRECT
    return Behaviour.MIXED if len(used) > 1 else used.pop()


def is_reflective(steps: Sequence[Step]) -> bool:
    """A wrong focus was noticed (off target or ambiguous) and the next search looked elsewhere.

    Another text query after a text search is no other place, nor is a box that is half the same (IoU), nor the picture
    of a result.
    """
    last: Step | None = None
    noticed = False
    for step in steps:
        if step.reflection is not None:
            noticed = last is not None and step.reflection is not Reflection.USEFUL
        if step.evidence_ids and not _is_no_search(step.action):
            if noticed and last is not None and not _same_place(last, step):
                return True
            last = step
    return False


def _is_no_search(action: str) -> bool:
    return action in TOOLS and TOOLS[action].behaviour is None


_SAME_IOU = 0.5


def _same_place(one: Step, other: Step) -> bool:
    places = [WHOLE if step.action == "image_search" else step.box for step in (one, other)]
    if places[0] is None or places[1] is None:
        return places[0] is places[1]
    return iou(places[0], places[1]) >= _SAME_IOU

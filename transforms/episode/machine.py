"""The episode: a pure state machine that all drivers share.

    episode = start(settings, question, images, system)
    while episode.stop is None:
        episode = act(episode, message_of_the_model)
        while episode.pending is not None:
            episode = observe(episode, result_of_the_tool)

`act` and `observe` return a new state and do no work outside: no search, no pixels. Of a turn with several calls each
is resolved, counted and observed like one alone, in their order, and what one showed is there for the next. Source:
Glance-or-Gaze, arXiv 2601.13942, "Selective Gaze"; the limits are ours (design section 5).
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
    Step,
    StopReason,
    TextPart,
    content_id,
)
from gog.schemas.boxes import shown_size
from gog.transforms.dialect.observations import clip_tokens, neutralise
from gog.transforms.dialect.turns import FRAME_TEXT, MAX_CALLS, Answer, Call, Mistake, parse_turn, plain_text
from gog.transforms.episode.folding import folded, seen
from gog.transforms.episode.mcp_tool import McpTool
from gog.transforms.episode.observation import illustrated, shown
from gog.transforms.episode.reflection import reflection_of
from gog.transforms.episode.tool import Scene, Tool, ToolRequest, ToolResult
from gog.transforms.episode.tools import BUILT_IN, known_tools, own_names, servers_among, tools_of
from gog.transforms.episode.tools.image_search import TOOL as GLANCE
from gog.transforms.episode.tools.image_search import WITH_QUERY
from gog.transforms.services.mcp.address import parse_address
from gog.transforms.services.mcp.pinned import PinnedTool


class EpisodeSettings(BaseModel):
    """Limits and frame of an episode."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_turns: int = Field(default=8, ge=1)
    """Turns of the model, that of the answer included; after them the episode ends without one."""
    calls_per_turn: int = Field(default=1, ge=1, le=MAX_CALLS)
    """Tool calls that a turn may hold; those after them are not done."""
    max_images: int = Field(default=6, ge=1)
    """Images in all, those of the question included."""
    question_images: int = Field(default=1, ge=1)
    """Pictures that a question may have; one that has more is turned away."""
    max_strikes: int = Field(default=3, ge=1)
    """Calls that cannot be read or done, and turns without a call or an answer, at the last of which it ends."""
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
    image_query: bool = False
    """Whether `image_search` takes words (`query`) in the place of the image, too: where the image search is an index
    whose encoder reads texts."""
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
    def _room(self) -> "EpisodeSettings":
        if self.question_images > self.max_images:
            raise ValueError(
                f"question_images is {self.question_images}, and an episode has at most {self.max_images} images: "
                "raise max_images"
            )
        return self

    @model_validator(mode="after")
    def _apart(self) -> "EpisodeSettings":
        if self.image_query and "image_search" not in self.tools:
            raise ValueError("image_query is of image_search, which is not among the tools")
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
        return (*self.own, *self._of_servers)

    @property
    def own(self) -> tuple[Tool, ...]:
        """Those of them that are ours or of installed packages."""
        return self._suited(tools_of(own_names(self.tools)))

    @property
    def known(self) -> tuple[Tool, ...]:
        """The tools whose calls are read: also those of ours that are not offered, to say that they are not there."""
        return (*self._suited(known_tools(own_names(self.tools))), *self._of_servers)

    def _suited(self, tools: tuple[Tool, ...]) -> tuple[Tool, ...]:
        said = (WITH_QUERY if self.image_query and tool == GLANCE else tool for tool in tools)
        return tuple(tool.for_questions(self.question_images) for tool in said)

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
    left: tuple[Call | Mistake, ...] = ()
    """Calls of the turn that is being taken which are done after the one that is pending."""
    ignored: tuple[str, ...] = ()
    """Ids of its further calls: they are refused after the results, in their order, since chat templates show results
    by position."""
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
        return self.steps[-1].turn + 1 if self.steps else 0


def system_prompt(settings: EpisodeSettings, *, teacher: bool = False) -> tuple[str, str]:
    """Text and hash of the system prompt: the policy's, or the teacher's."""
    name = "episode/teacher" if teacher else "episode/system"
    tools = [tool.name for tool in settings.offered]
    prompt = render(name, frame_text=FRAME_TEXT[settings.frame], max_turns=settings.max_turns, tools=tools)
    hints = [tool.hint for tool in settings.offered if tool.hint]
    more = [render("episode/more_tools", hints=hints)] if hints else []
    if settings.question_images > 1:
        searching = any(tool.name == "image_search" for tool in settings.offered)
        more.append(render("episode/several_images", images=settings.question_images, searching=searching))
    if settings.calls_per_turn > 1:
        more.append(render("episode/several_calls", calls=settings.calls_per_turn))
    if not more:
        return prompt.text, prompt.hash
    text = "\n\n".join([prompt.text, *(part.text for part in more)])
    return text, content_id("prompt", [prompt.hash, *(part.hash for part in more), hints])


def offered_tools(settings: EpisodeSettings) -> tuple[dict[str, JsonValue], ...]:
    """JSON schemas of the tools that the episode offers."""
    return tuple(tool.schema(settings.frame) for tool in settings.offered)


def start(
    settings: EpisodeSettings,
    question: str,
    images: Sequence[EpisodeImage],
    system: str,
    *,
    hints: str | None = None,
) -> Episode:
    """The first state: system prompt, the question's pictures and the question; `hints` are a text part of their own.

    The pictures are images 0, 1, ... of the episode.
    """
    if len(images) > settings.question_images:
        raise ValueError(f"{len(images)} pictures, and a question may have {settings.question_images}")
    parts = [
        *(ImagePart(image=image.sha256) for image in images),
        TextPart(text=question_text(settings, question, images)),
    ]
    if hints is not None:
        parts.append(TextPart(text=hints))
    messages = (Message(role="system", content=system), Message(role="user", content=tuple(parts)))
    whole = (image.model_copy(update={"box": WHOLE, "on_image": number}) for number, image in enumerate(images))
    return Episode(settings, messages, tuple(whole))


def question_text(settings: EpisodeSettings, question: str, images: Sequence[EpisodeImage]) -> str:
    """The question as a model reads it, with the sizes of its pictures."""
    sizes = [shown_size(settings.spec, image.width, image.height) for image in images]
    return render("episode/question", sizes=sizes, question=neutralise(question)).text


def act(episode: Episode, message: Message, *, train: bool = True) -> Episode:
    """Take the model's turn. Leaves the episode waiting for a tool, stopped, or ready for the next turn.

    `train=False` marks a turn that the loss must not see (a planned wrong action).
    """
    if episode.stop is not None or episode.pending is not None:
        raise RuntimeError("the episode is not waiting for the model")
    settings = episode.settings
    parsed = parse_turn(message, episode.turns, settings.known, settings.calls_per_turn)
    after_evidence = any(step.evidence_ids for step in episode.steps)
    reflection = reflection_of(plain_text(parsed.message)) if after_evidence else None
    episode = replace(episode, messages=(*episode.messages, parsed.message))
    step = Step(turn=episode.turns, action="none", reflection=reflection, train=train)
    if isinstance(parsed.action, Answer):
        text = parsed.action.text
        step = step.model_copy(update={"action": "answer", "arguments": {"text": text}})
        return replace(episode, steps=(*episode.steps, step), stop=StopReason.ANSWERED, answer=text)
    step = step.model_copy(update={"error": parsed.slip})
    left = tuple(action for action in parsed.actions if not isinstance(action, Answer))
    return _go_on(replace(episode, left=left, ignored=parsed.ignored), step)


def _go_on(episode: Episode, step: Step) -> Episode:
    """Do the calls that are left until one waits for its tool; after the last one the turn is over.

    `step` is what is known of the first of them: of a turn its first step has the reflection and the slip.
    """
    while episode.left and episode.stop is None:
        call, *left = episode.left
        episode = _call(replace(episode, left=tuple(left)), step, call)
        if episode.pending is not None:
            return episode
        step = Step(turn=step.turn, action="none", train=step.train)
    return episode if episode.stop is not None else _next_turn(_refuse(episode))


def _call(episode: Episode, step: Step, call: Call | Mistake) -> Episode:
    if isinstance(call, Mistake):
        return _strike(episode, step, call)
    step = step.model_copy(update={"action": call.tool, "arguments": call.arguments})
    resolved = _resolve(episode, call)
    if isinstance(resolved, Mistake):
        return _strike(episode, step, resolved)
    if resolved.found is None:
        step = step.model_copy(update={"box": resolved.box, "on_image": resolved.on_image})
    if _asked(step) in [_asked(earlier) for earlier in episode.steps if earlier.evidence_ids]:
        step = step.model_copy(update={"error": "repeated"})
        note = f"{call.tool}: already done, the result is above. Do something else or answer."
        return _told(episode, step, note, call.call_id)
    return replace(episode, steps=(*episode.steps, step), pending=resolved)


def _asked(step: Step) -> tuple[str, int, Box | Mapping[str, JsonValue]]:
    """What a step asked for: what is asked for again is a repetition, however it is written."""
    return step.action, step.on_image, step.arguments if step.box is None else step.box


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
    return _go_on(episode, Step(turn=step.turn, action="none", train=step.train))


def _last_turn_note(episode: Episode, taken: int) -> str:
    """What stands below the last result of the last turn but one."""
    last = episode.settings.max_turns - taken == 1 and not episode.left
    return "\n(One turn is left: answer now.)" if last else ""


def _refuse(episode: Episode) -> Episode:
    """Answer the calls beyond those that a turn may hold."""
    most = episode.settings.calls_per_turn
    note = "Not done: one call a turn." if most == 1 else f"Not done: at most {most} calls a turn."
    told = tuple(Message(role="tool", content=note, tool_call_id=call_id) for call_id in episode.ignored)
    return replace(episode, messages=(*episode.messages, *told), ignored=())


def _told(episode: Episode, step: Step, note: str, call_id: str | None) -> Episode:
    """Answer a call with a note instead of a result, or the turn where it holds none."""
    note += _last_turn_note(episode, step.turn + 1)
    if call_id is None:
        message = Message(role="user", content=note)
    else:
        message = Message(role="tool", content=note, tool_call_id=call_id)
    return replace(episode, messages=(*episode.messages, message), steps=(*episode.steps, step))


_NOTE_TOKENS = 100


def _strike(episode: Episode, step: Step, mistake: Mistake) -> Episode:
    step = step.model_copy(update={"error": mistake.code})
    episode = replace(episode, strikes=episode.strikes + 1)
    if episode.strikes >= episode.settings.max_strikes:
        return replace(episode, steps=(*episode.steps, step), left=(), ignored=(), stop=StopReason.STRIKES)
    return _told(episode, step, f"Error: {clip_tokens(neutralise(mistake.detail), _NOTE_TOKENS)}", mistake.call_id)


def _next_turn(episode: Episode) -> Episode:
    """The episode before its next turn: over, folded, or as it is."""
    if episode.turns >= episode.settings.max_turns:
        return replace(episode, stop=StopReason.OUT_OF_TURNS)
    if not episode.settings.fold or episode.turns % episode.settings.fold:
        return episode
    return replace(episode, folds=(*episode.folds, Fold(turn=episode.turns, messages=folded(episode.messages))))


def behaviour_of(episode: Episode) -> Behaviour:
    """Which kinds of search were used with a result: none is direct, several are mixed."""
    tools = {tool.name: tool for tool in episode.settings.known}
    done = [tools[step.action].behaviour_of(step.arguments) for step in episode.steps if step.evidence_ids]
    used = {kind for kind in done if kind is not None}
    if not used:
        return Behaviour.DIRECT
    return Behaviour.MIXED if len(used) > 1 else used.pop()

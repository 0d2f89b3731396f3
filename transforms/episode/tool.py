"""What a tool of the agent is, and what it works with. Ours are in `gog.transforms.episode.tools`, one a module."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, ClassVar, Final, NamedTuple, Self

from pydantic import JsonValue

from gog.schemas import Behaviour, Box, EpisodeImage, Evidence, Frame, FrameSpec, Hit, content_id
from gog.transforms.dialect.observations import render_hits
from gog.transforms.dialect.turns import Call, Mistake
from gog.transforms.episode.crops import Cropper
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.mcp.server import ToolServer
from gog.transforms.services.protocols import ImageSearch, PageReader, ServiceError, TextSearch


class Scene(NamedTuple):
    """What a call is resolved against: the episode's images so far, the frame of its boxes, how many images it may
    have, and of each numbered result the picture that it has.
    """

    images: Sequence[EpisodeImage]
    spec: FrameSpec
    max_images: int
    results: Sequence[str | None] = ()

    @property
    def asked_about(self) -> int:
        """How many of the images are the question's: the first ones."""
        return len(question_images(self.images))


def question_images(images: Sequence[EpisodeImage]) -> tuple[EpisodeImage, ...]:
    """Those of an episode's images that are the question's: the first ones, each of which lies on itself."""
    of_it = takewhile(lambda place: place[1].origin is None and place[1].on_image == place[0], enumerate(images))
    return tuple(image for _, image in of_it)


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """What the machine waits for. `box` (before padding) belongs to a look at a region alone: on the picture of the
    question whose number is `on_image`, or on `found`, a picture that a tool found. `picture` is the hash of a result's
    picture that is asked for.
    """

    tool: "Tool"
    call_id: str
    arguments: Mapping[str, JsonValue] = field(default_factory=dict)
    box: Box | None = None
    on_image: int = 0
    found: EpisodeImage | None = None
    picture: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave back: its evidence and, for a look at a region of a picture of the question, the crop with the
    box that it really covers. Pictures that were found are in the evidence.
    """

    evidence: Evidence
    crop: EpisodeImage | None = None


class Tool(ABC):
    """A tool of the agent: one object, which never changes. Whoever has to do with a tool asks it.

    A subclass says what has no default here; `schema`, `read`, `resolve` and `show` are pure, `run` is not.
    """

    name: str
    """What models call it."""
    about: str
    """What it does, in its schema."""
    label: str
    """What people see that it did."""
    says: str = ""
    """The argument that says the most to them."""
    behaviour: ClassVar[Behaviour | None]
    """What an episode is that uses nothing else; None: it makes no difference to that."""
    asks: ClassVar[str] = ""
    """Kind of call that it makes (`text_search`, `image_search`, `page`): what it takes. Empty: none."""
    hint: str = ""
    """Its line in the system prompt. The prompt files have those of the tools that are on by default."""
    required: tuple[str, ...] = ()
    """Arguments that a call needs."""
    aliases: ClassVar[tuple[str, ...]] = ()
    """Other names that models know it by."""
    tag: ClassVar[str] = ""
    """Regex of its tag in the tag grammar, whose only group, if any, is what `read_tag` reads. Empty: it has none.

    The word of a tag must be one that `neutralise` breaks in foreign text.
    """
    looks: ClassVar[bool] = False
    """Whether it looks at a region: a box, the argument `bbox_2d`, of the image of number `image`."""
    takes_words: ClassVar[bool] = False
    """Whether the argument `query` may stand in the place of the picture, where the image search is asked."""
    takes_result: ClassVar[bool] = False
    """Whether it takes the number of an earlier result: then results are numbered through the episode."""
    question_images: int = 1
    """Pictures that a question may have, where it is offered (`for_questions`)."""

    def __eq__(self, other: object) -> bool:
        """All of a class are the same that are offered for the same questions: copies too."""
        return type(self) is type(other) and self.question_images == other.question_images

    def __hash__(self) -> int:
        """Of the class."""
        return hash(type(self))

    def for_questions(self, images: int) -> Self:
        """The tool as it is offered where a question may have so many pictures."""
        if images == self.question_images:
            return self
        offered = copy(self)
        offered.question_images = images
        return offered

    @abstractmethod
    def properties(self, frame: Frame) -> dict[str, JsonValue]:
        """JSON schema of each argument; a box's description names the frame."""

    def schema(self, frame: Frame) -> dict[str, JsonValue]:
        """The tool in OpenAI's form."""
        parameters: JsonValue = {
            "type": "object",
            "properties": self.properties(frame),
            "required": list(self.required),
        }
        function: JsonValue = {"name": self.name, "description": self.about, "parameters": parameters}
        return {"type": "function", "function": function}

    def behaviour_of(self, arguments: Mapping[str, JsonValue]) -> Behaviour | None:
        """What an episode is that uses nothing but calls with such arguments."""
        return self.behaviour

    def shown_as(self, arguments: Mapping[str, JsonValue]) -> tuple[str, str]:
        """What people see of a call with such arguments: what was done, and with what."""
        return self.label, str(arguments.get(self.says) or "")

    def read_tag(self, body: str) -> dict[str, JsonValue]:
        """The arguments that a tag's body writes."""
        return {}

    def read(self, arguments: Mapping[str, Any]) -> dict[str, JsonValue] | str:
        """The arguments, normalised, of whatever a model wrote; or a sentence for it that says what is wrong."""
        return {}

    def resolve(self, call: Call, scene: Scene) -> ToolRequest | Mistake:
        """What is asked for, given the episode; or the model's mistake. `call.arguments` are as `read` gave them."""
        return ToolRequest(self, call.call_id, call.arguments)

    @abstractmethod
    async def run(self, request: ToolRequest, original: EpisodeImage, services: "EpisodeTools") -> ToolResult:
        """Do it; `original` is the picture of the question that the request is about (`ToolRequest.on_image`).

        Raises `ServiceError`: the attempt is then broken by the infrastructure.
        """

    def show(self, evidence: Evidence, budget: int) -> str:
        """What the model reads of what came back, in about `budget` tokens; foreign text is neutralised."""
        return render_hits(self.name, evidence.hits, budget)


@dataclass(frozen=True, slots=True)
class EpisodeTools:
    """The services that the tools of an episode work with, real or embedded. `pages` is None where nobody reads."""

    gateway: Gateway
    text_search: TextSearch
    image_search: ImageSearch
    cropper: Cropper
    top_k: int
    purpose: str = "episode"
    pages: PageReader | None = None
    tool_server: ToolServer | None = None
    """Who answers for MCP servers; None: they do."""

    async def run(self, request: ToolRequest, original: EpisodeImage) -> ToolResult:
        """Run one tool. Raises `ToolError` when the service failed."""
        try:
            return await request.tool.run(request, original, self)
        except ServiceError as error:
            raise ToolError(error.failure, f"{request.tool.name}: {error.detail}") from error


class ToolError(ServiceError):
    """A tool failed, not the model."""


def evidence_of(
    request: ToolRequest,
    hits: tuple[Hit, ...],
    provider: str,
    searched: EpisodeImage | None = None,
    query: str | None = None,
    pictures: tuple[EpisodeImage, ...] = (),
) -> Evidence:
    """The evidence of a call that worked, with its content id.

    `searched` is the image that was searched with or shown; `provider` is empty where nobody was asked.
    """
    if searched is not None and searched.origin is not None:
        pictures = (searched, *pictures)
    box = searched.box if searched is not None and request.box is not None and searched.origin is None else None
    sha256 = searched.sha256 if searched is not None else None
    name = request.tool.name
    identity: list[object] = [name, query, sha256, box, provider, [hit.model_dump(mode="json") for hit in hits]]
    if pictures:
        identity.append([picture.model_dump(mode="json", exclude={"on_image"}) for picture in pictures])
    on_image = searched.on_image if searched is not None and searched.origin is None else 0
    if on_image:
        identity.append({"on_image": on_image})
    return Evidence(
        evidence_id=content_id("evidence", identity),
        tool=name,
        query=query,
        image_sha256=sha256,
        box=box,
        on_image=on_image,
        hits=hits,
        pictures=pictures,
        provider=provider,
    )


def read_image_number(arguments: Mapping[str, Any]) -> int | None:
    """The number of an image that a model wrote, 0 where it wrote none; None where it is no number of an image."""
    number = read_number(arguments.get("image", arguments.get("img_idx")))
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if number is None:
        return 0
    return number if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < _LIMIT else None


NO_IMAGE_NUMBER: Final = "image is the number of an image: 0, 1, 2, ..."
"""What a model is told that wrote none."""
_LIMIT: Final = 10**9
_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


def read_number(value: object) -> object:
    """A number that was written as text; anything else as it is."""
    text = value.strip() if isinstance(value, str) else ""
    if not _NUMBER.fullmatch(text) or len(text) > 20:
        return value
    number = float(text)
    return int(number) if "." not in text else number


def read_text(value: object, limit: int) -> str:
    """A text that a model wrote as an argument, alone or in a list, on one line of at most `limit` characters."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return " ".join(value.split())[:limit].strip() if isinstance(value, str) else ""

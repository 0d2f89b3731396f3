"""What a service is: one small protocol each. A provider is a class that fills one.

Services do the work of one call and know nothing of stores, limits, budgets or retries: those are the caller's
(`gog.transforms.services.gateway.gateway`). A call that fails raises `ServiceError` with a failure class, nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from gog.schemas import Box, FailureClass, Hit, Message
from gog.schemas.errors import UserError


class ServiceError(UserError):
    """A call to the outside failed. `retry_after` is in seconds, where the provider named it."""

    def __init__(self, failure: FailureClass, detail: str = "", retry_after: float | None = None) -> None:
        """`detail` says what happened, in one line."""
        super().__init__(f"{failure}: {detail}" if detail else str(failure))
        self.failure = failure
        self.detail = detail
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling settings of a chat call; part of the request's identity."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 2048


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One call of a chat model.

    `sample_index` tells apart the k samples of one prompt; `prompt_hash` is the hash of the prompt files that the
    messages were rendered from; `response_schema` asks for JSON of that schema where the endpoint can.
    """

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    sample_index: int = 0
    prompt_hash: str = ""
    response_schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ChatReply:
    """A model's message. `finish_reason` is `stop`, `tool_calls` or `length`."""

    message: Message
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Detection:
    """A box that a detector drew, with its label and score (0 to 1)."""

    box: Box
    label: str
    score: float


class Policy(Protocol):
    """A chat model with tools: teacher, policy or judge.

    It may also have `ready`, to be awaited before a call, and `thinking_tokens`, which a reply may have beyond its
    request's limit.
    """

    @property
    def id(self) -> str:
        """Name and revision, with everything that changes its answers; kept in rows and in store keys."""

    async def complete(self, request: ChatRequest) -> ChatReply:
        """One reply. Raises `ServiceError`."""


class Detector(Protocol):
    """Finds regions."""

    @property
    def id(self) -> str:
        """Name with weights hash or version."""

    async def detect(self, image_sha256: str, phrases: tuple[str, ...]) -> tuple[Detection, ...]:
        """Detections, best first; `phrases` are hints for open-vocabulary detectors. Raises `ServiceError`."""


class TextSearch(Protocol):
    """Searches text."""

    @property
    def id(self) -> str:
        """Name with the corpus' or locale's version."""

    async def search(self, query: str, top_k: int) -> tuple[Hit, ...]:
        """Hits, best first. Raises `ServiceError`."""


class ImageSearch(Protocol):
    """Searches with an image.

    It may also have `words`, a `TextSearch` of the same id that finds its pictures by words, or None.
    """

    @property
    def id(self) -> str:
        """Name with the index' or locale's version."""

    async def search(self, image_sha256: str, top_k: int) -> tuple[Hit, ...]:
        """Hits, best first; scores are similarities, 0 to 1. Raises `ServiceError`."""


def words_of(search: ImageSearch) -> TextSearch | None:
    """What finds the pictures of an image search by words, where anything does."""
    return getattr(search, "words", None)


@dataclass(frozen=True, slots=True)
class Page:
    """The text of a page, without its navigation and the like.

    `url` is where it was found in the end; `text` is empty where the page has none; `cut` says why the text ends
    early, where it does.
    """

    url: str
    text: str
    cut: str = ""


@dataclass(frozen=True, slots=True)
class ToolPart:
    """A part of a tool's answer: text with, where it has them, title and address; or a picture, by its hash."""

    text: str = ""
    title: str = ""
    url: str = ""
    image: str = ""
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What somebody else's tool said."""

    parts: tuple[ToolPart, ...] = ()


class OtherTool(Protocol):
    """A tool of somebody else's, with a name and arguments of its own."""

    @property
    def id(self) -> str:
        """Changes when its answers may."""

    async def call(self, arguments: Mapping[str, Any]) -> ToolAnswer:
        """What it says. Raises `ServiceError`, also where it says that it failed."""


class PageReader(Protocol):
    """Reads pages of the web."""

    @property
    def id(self) -> str:
        """Name and version of what makes text of a page."""

    async def read(self, url: str) -> Page:
        """The page at an address. Raises `ServiceError`."""

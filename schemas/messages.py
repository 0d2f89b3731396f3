"""Chat messages in OpenAI's form; images are parts that carry a hash."""

from typing import Annotated, Literal

from pydantic import Field

from gog.schemas.base import Record, Sha256


class TextPart(Record):
    """Text of a message."""

    type: Literal["text"] = "text"
    text: str


class ImagePart(Record):
    """An image of a message, by its hash."""

    type: Literal["image"] = "image"
    image: Sha256


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class Function(Record):
    """Name and arguments (JSON text, as OpenAI writes them) of a tool call."""

    name: str
    arguments: str


class ToolCall(Record):
    """A tool call of an assistant message, in OpenAI's form."""

    id: str
    type: Literal["function"] = "function"
    function: Function


class Message(Record):
    """A chat message in OpenAI's form; images are parts that carry a hash."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | tuple[Part, ...] = ""
    reasoning_content: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        """All text of the content, without images."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content if isinstance(part, TextPart))

    @property
    def images(self) -> tuple[str, ...]:
        """Hashes of the images of the content, in order."""
        if isinstance(self.content, str):
            return ()
        return tuple(part.image for part in self.content if isinstance(part, ImagePart))

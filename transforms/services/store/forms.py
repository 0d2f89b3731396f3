"""The form of each kind of answer: what the door keeps and reads back, and what `gog store verify` holds it to."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import TypeAdapter

from gog.schemas import Hit
from gog.transforms.services.protocols import ChatReply, Detection, Page, ToolAnswer

REPLY: Final = TypeAdapter(ChatReply)
HITS: Final = TypeAdapter(tuple[Hit, ...])
DETECTIONS: Final = TypeAdapter(tuple[Detection, ...])
PAGE: Final = TypeAdapter(Page)
TOOL_ANSWER: Final = TypeAdapter(ToolAnswer)

BOUGHT: Final = ("chat", "detect", "text_search", "image_search", "page", "tool")
"""Kinds that somebody outside answers."""

FORMS: Final[Mapping[str, TypeAdapter[Any]]] = {
    "chat": REPLY,
    "detect": DETECTIONS,
    "text_search": HITS,
    "image_search": HITS,
    "page": PAGE,
    "tool": TOOL_ANSWER,
    "crop": TypeAdapter(dict[str, Any]),
    "crop_hashes": TypeAdapter(list[str]),
}
"""By kind; an answer of another kind is JSON."""

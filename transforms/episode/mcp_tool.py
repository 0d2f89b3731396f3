"""A tool of an MCP server as a tool of the agent: pinned when the run began, asked through the gateway."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import JsonValue

from gog.schemas import WHOLE, Behaviour, EpisodeImage, Evidence, FailureClass, Frame, Hit
from gog.transforms.dialect.observations import clip_tokens, neutralise, one_line
from gog.transforms.episode.tool import EpisodeTools, Tool, ToolRequest, ToolResult, evidence_of
from gog.transforms.services.mcp.pinned import PinnedTool
from gog.transforms.services.mcp.server import Keep, ToolServer, server_at
from gog.transforms.services.protocols import ServiceError, ToolAnswer

_MAX_TEXT: Final = 4000
"""Characters of a text that a model writes as an argument."""
_MAX_LIST: Final = 50
_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


@dataclass(frozen=True, slots=True)
class _Asked:
    """A pinned tool as the gateway asks it."""

    pinned: PinnedTool
    server: ToolServer
    keep: Keep

    @property
    def id(self) -> str:
        """As it is pinned."""
        return self.pinned.id

    async def call(self, arguments: Mapping[str, Any]) -> ToolAnswer:
        """Ask the server."""
        return await self.server.call(self.pinned, arguments, self.keep)


class McpTool(Tool):
    """One of them is another than the next: what it is, is in `pinned`."""

    behaviour = Behaviour.TEXT
    asks = "tool"

    def __init__(self, pinned: PinnedTool) -> None:
        """`pinned` is what models are told of it."""
        self.pinned = pinned
        self.name, self.about, self.required = pinned.called, pinned.about, pinned.required
        self.label = pinned.called.replace("_", " ")
        self.says = pinned.required[0] if pinned.required else ""
        self.hint = f"{pinned.called}({', '.join(pinned.properties)}): {pinned.about[:200]}"

    def __eq__(self, other: object) -> bool:
        """As it is pinned."""
        return isinstance(other, McpTool) and other.pinned == self.pinned

    def __hash__(self) -> int:
        """Of what it is called."""
        return hash((self.pinned.server, self.pinned.called))

    def properties(self, frame: Frame) -> dict[str, JsonValue]:
        """As they are pinned."""
        return dict(self.pinned.properties)

    def read(self, arguments: Mapping[str, Any]) -> dict[str, JsonValue] | str:
        """The arguments that it has, of the right type; the others are left out."""
        read: dict[str, JsonValue] = {}
        for name, schema in self.pinned.properties.items():
            assert isinstance(schema, dict)
            value: Any = arguments.get(name)
            kind = str(schema["type"])
            if value is None:
                if name in self.required:
                    return f"{self.name} needs {name}: {kind}."
                continue
            if (kind != "boolean" and isinstance(value, bool)) or not isinstance(value, _KINDS[kind]):
                return f"{self.name}: {name} is to be of type {kind}."
            if isinstance(value, str | list):
                value = value[: _MAX_TEXT if isinstance(value, str) else _MAX_LIST]
            choices = schema.get("enum")
            if isinstance(choices, list) and value not in choices:
                return f"{self.name}: {name} is one of {', '.join(map(str, choices))[:300]}."
            read[name] = value
        return read

    async def run(self, request: ToolRequest, original: EpisodeImage, services: EpisodeTools) -> ToolResult:
        """Ask it. What it says are hits; pictures become images of the episode."""
        server = services.tool_server or server_at(self.pinned.server)
        asked = _Asked(self.pinned, server, services.cropper.keep)
        answer = await services.gateway.use_tool(asked, request.arguments, services.purpose)
        texts = [part for part in answer.parts if not part.image]
        hits = tuple(
            Hit(rank=rank, title=one_line(part.title), url=part.url, snippet=part.text)
            for rank, part in enumerate(texts, 1)
        )
        shown = [part for part in answer.parts if part.image]
        if lost := [part.image for part in shown if not services.cropper.has(part.image)]:
            raise ServiceError(FailureClass.NOT_FOUND, f"the picture {lost[0][:12]} that it gave is not kept")
        pictures = tuple(
            EpisodeImage(sha256=part.image, width=part.width, height=part.height, box=WHOLE, origin=part.image)
            for part in shown
        )
        query = str(request.arguments.get(self.says, "")) or None
        return ToolResult(evidence_of(request, hits, asked.id, query=query, pictures=pictures))

    def show(self, evidence: Evidence, budget: int) -> str:
        """What it said, indented: a line of its own could pass for one of ours."""
        if not evidence.hits:
            return f"{self.name} gave {'a picture' if evidence.pictures else 'nothing'}."
        lines = [f"{self.name} said:"]
        for hit in evidence.hits:
            head = " | ".join(filter(None, (one_line(hit.title)[:200], one_line(hit.url)[:200])))
            lines += [f"    {line}" for line in (head, *map(one_line, neutralise(hit.snippet).splitlines())) if line]
        return clip_tokens("\n".join(lines), budget)

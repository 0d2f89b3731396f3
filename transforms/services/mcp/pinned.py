"""What an MCP server offers, as a run pins it: each tool with the part of its schema that models are shown.

A server is somebody else's: names, descriptions and schemas are cut, made harmless and held to what every driver can
offer. What does not fit is refused, with the tool's name.
"""

import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from gog.schemas import canonical_json, content_id
from gog.transforms.dialect.observations import one_line
from gog.transforms.services.mcp.address import McpAddress, parse_address

MAX_TOOLS: Final = 32
"""Tools of a server."""
MAX_ARGUMENTS: Final = 16
"""Arguments of a tool."""
_MAX_SCHEMA: Final = 20_000
"""Characters of a tool's schema, as the server writes it."""
_ABOUT: Final = 600
_DESCRIPTION: Final = 200
_MAX_CHOICES: Final = 50
_TYPES: Final = ("string", "integer", "number", "boolean", "array", "object")
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")
_ARGUMENT = re.compile(r"[a-zA-Z_]\w{0,63}", re.ASCII)


class McpListError(ValueError):
    """A server offers what cannot be offered; one line."""


class PinnedTool(BaseModel):
    """A tool of an MCP server, as it was when the run began."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    server: str
    """The server's address."""
    version: str
    """What the server says that it is."""
    name: str
    """What the server calls it."""
    called: str = Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_-]{0,63}$")
    """What models call it."""
    about: str
    """What it does, in the server's words, shortened and made harmless."""
    properties: dict[str, JsonValue]
    """JSON schema of each argument."""
    required: tuple[str, ...] = ()
    """Arguments that a call must have."""
    digest: str
    """Of the name, the description and the schema, as the server wrote them."""

    def __hash__(self) -> int:
        """Its schema is a mapping, which has none."""
        return hash((self.server, self.called, self.digest))

    @property
    def id(self) -> str:
        """What the store and prices know it by, without the address's path or arguments."""
        return f"mcp:{parse_address(self.server).place}:{self.name}@{self.identity}"

    @property
    def identity(self) -> str:
        """A hash of what it is and where: an address may hold what is nobody's business."""
        return content_id("mcp", [self.server, self.version, self.name, self.digest]).rpartition("-")[2][:12]


def pin(address: McpAddress, version: str, listed: Sequence[Mapping[str, Any]]) -> tuple[PinnedTool, ...]:
    """The tools that are meant, of those that are listed (`name`, `description`, `inputSchema`), by name.

    Raises `McpListError`.
    """
    by_name = {str(tool["name"]): tool for tool in listed}
    missing = [name for name in address.tools if name not in by_name]
    if missing:
        raise McpListError(f"{address.server} has no tool {missing[0]!r}; it has {_names(by_name)}")
    meant = address.tools or {name: re.sub(r"[^a-zA-Z0-9_-]", "_", name) for name in sorted(by_name)}
    if not meant:
        raise McpListError(f"{address.server} offers no tools")
    if len(meant) > MAX_TOOLS:
        raise McpListError(f"{address.server} offers {len(meant)} tools: name at most {MAX_TOOLS} behind a #")
    return tuple(_pin(address.server, version, by_name[name], called) for name, called in meant.items())


def changed(before: Iterable[PinnedTool], now: Iterable[PinnedTool]) -> str:
    """What is otherwise now; empty where nothing is."""
    old, new = ({tool.called: tool for tool in tools} for tools in (before, now))
    said = [f"{name!r} is gone" for name in old if name not in new]
    said += [f"{name!r} is new" for name in new if name not in old]
    both = [(old[name], new[name]) for name in old if name in new]
    said += [f"{one.called!r} has another description or schema" for one, other in both if one.digest != other.digest]
    versions = {(one.version, other.version) for one, other in both if one.version != other.version}
    said += [f"it was {one or 'without a version'} and is {other or 'without one'}" for one, other in sorted(versions)]
    return ", ".join(said)


def _pin(server: str, version: str, tool: Mapping[str, Any], called: str) -> PinnedTool:
    name, schema = str(tool["name"]), tool.get("inputSchema") or {}
    told = f"{server}: the tool {one_line(name)[:60]!r}"
    try:
        written = canonical_json([name, tool.get("description"), schema])
    except (ValueError, TypeError, RecursionError):
        raise McpListError(f"{told} has a schema that is no JSON") from None
    if not _NAME.fullmatch(called):
        raise McpListError(f"{told} has no name that models can write: give it one with #{one_line(name)[:60]}=NAME")
    if len(written) > _MAX_SCHEMA:
        raise McpListError(f"{told} has a schema of {len(written):,} characters; {_MAX_SCHEMA:,} are allowed")
    listed = schema.get("properties") or {}
    if not isinstance(listed, dict) or len(listed) > MAX_ARGUMENTS:
        raise McpListError(f"{told} takes more than {MAX_ARGUMENTS} arguments, or its schema says nothing of them")
    wrong = [key for key in listed if not _ARGUMENT.fullmatch(key) or keyword.iskeyword(key) or key == "self"]
    if wrong:
        raise McpListError(f"{told} has an argument with a name that cannot be offered: {one_line(wrong[0])[:60]!r}")
    required = schema.get("required") or []
    return PinnedTool(
        server=server,
        version=version,
        name=name,
        called=called,
        about=one_line(str(tool.get("description") or ""))[:_ABOUT] or f"The tool {called}.",
        properties={key: _property(value) for key, value in listed.items()},
        required=tuple(key for key in listed if isinstance(required, list) and key in required),
        digest=content_id("tool", written).rpartition("-")[2][:16],
    )


def _property(written: Any) -> dict[str, JsonValue]:
    """What models are told of an argument: type, description, choices and the type of items."""
    written = written if isinstance(written, dict) else {}
    kept: dict[str, JsonValue] = {
        "type": _type(written),
        "description": one_line(str(written.get("description") or written.get("title") or ""))[:_DESCRIPTION],
    }
    choices = written.get("enum")
    if isinstance(choices, list) and 0 < len(choices) <= _MAX_CHOICES and all(isinstance(one, str) for one in choices):
        kept["enum"] = [one_line(one)[:_DESCRIPTION] for one in choices]
    if kept["type"] == "array":
        items = written.get("items")
        kept["items"] = {"type": _type(items if isinstance(items, dict) else {})}
    return kept


def _type(written: Mapping[str, Any]) -> str:
    """The first type that is named, also among alternatives; text where none is."""
    named = written.get("type")
    kinds = named if isinstance(named, list) else [named]
    alternatives = written.get("anyOf") or written.get("oneOf") or []
    kinds += (
        [one.get("type") for one in alternatives if isinstance(one, dict)] if isinstance(alternatives, list) else []
    )
    fallback = "object" if "$ref" in written else "string"
    return next((kind for kind in kinds if kind in _TYPES), fallback)


def _names(listed: Iterable[str]) -> str:
    return ", ".join(repr(one_line(name)[:60]) for name in list(listed)[:MAX_TOOLS]) or "none"

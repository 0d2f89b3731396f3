"""The tools of the agent: an open set. `gog.transforms.episode.tool` says what one is."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Final

from pydantic import JsonValue

from gog.transforms.episode.tool import Tool
from gog.transforms.open_set import OpenSet
from gog.transforms.services.mcp.address import SCHEME

TOOLS: Final = OpenSet[Tool]("tool", "gog.tools", "gog.transforms.episode.tools", "TOOL")

BUILT_IN: Final = ("text_search", "image_search", "gaze")
"""Tools that are on by default. The prompts name them, and what follows a fixed workflow uses no others."""

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")
_OTHER_ACTIONS: Final = ("answer", "none")


def servers_among(names: tuple[str, ...]) -> tuple[str, ...]:
    """Those that are addresses of MCP servers."""
    return tuple(name for name in names if name.startswith(SCHEME))


def own_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """The others."""
    return tuple(name for name in names if not name.startswith(SCHEME))


@cache
def tools_of(names: tuple[str, ...]) -> tuple[Tool, ...]:
    """The tools of these names or dotted paths: those that are on by default first, in their order.

    Raises `ValueError` on a tool that nobody has, and where two would be called the same.
    """
    ordered = (*(name for name in BUILT_IN if name in names), *(name for name in names if name not in BUILT_IN))
    by_name: dict[str, Tool] = {}
    for name in ordered:
        tool = TOOLS[name]
        if not isinstance(tool, Tool) or not _NAME.fullmatch(tool.name) or tool.name in _OTHER_ACTIONS:
            raise ValueError(f"{name!r} is no tool: an object of a class of Tool, with a name that models can write")
        if by_name.setdefault(tool.name, tool) != tool:
            raise ValueError(f"{name!r} is called {tool.name!r}, as another tool is")
    return tuple(by_name.values())


def known_tools(names: tuple[str, ...] = ()) -> tuple[Tool, ...]:
    """The tools whose calls are read where these are offered: also those that are on by default, to say that they
    are not there. Raises `ValueError` as `tools_of` does.
    """
    return tools_of((*BUILT_IN, *names))


def shown_as(action: str, arguments: Mapping[str, JsonValue]) -> tuple[str, str]:
    """What people see of a step: what was done, and the argument that says the most.

    A tool that is not installed here is shown by its name.
    """
    if action in TOOLS:
        return TOOLS[action].shown_as(arguments)
    if action == "answer":
        return "answer", str(arguments.get("text") or "")
    return ("no action" if action == "none" else action.replace("_", " ")), ""

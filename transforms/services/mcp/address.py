"""The address of an MCP server, and which of its tools are meant.

mcp:https://search.example.org/mcp                 all its tools
mcp:stdio:python server.py                         a command, started without a shell
mcp:https://search.example.org/mcp#find,text_search=web_search   two of them, the second under another name
"""

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

SCHEME: Final = "mcp:"
_STDIO: Final = "stdio:"
_CHOICE = re.compile(r"#(?P<tools>[\w./-]+(?:=\w+)?(?:,[\w./-]+(?:=\w+)?)*)$")
_TOKEN: Final = "GOG_MCP_TOKEN_"  # noqa: S105  # the name of a variable


class McpAddressError(ValueError):
    """What is no address of an MCP server; one line."""


@dataclass(frozen=True, slots=True)
class McpAddress:
    """Where a server is: `url`, or `command` with its arguments. `tools` are those that are meant, by the server's
    name, with the name that models call them; empty: all.
    """

    server: str
    """The address without the choice of tools."""
    url: str = ""
    command: tuple[str, ...] = ()
    tools: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def place(self) -> str:
        """The host, or the name of the program: for messages, prices and limits."""
        return urlsplit(self.url).netloc if self.url else os.path.basename(self.command[0])  # noqa: PTH119

    @property
    def token_variable(self) -> str:
        """The environment variable that holds the bearer token of this host, and of no other."""
        return _TOKEN + re.sub(r"[^A-Z0-9]", "_", (urlsplit(self.url).hostname or "").upper())


def parse_address(text: str) -> McpAddress:
    """Read an address. Raises `McpAddressError`."""
    choice = _CHOICE.search(text)
    server = text[: choice.start()] if choice else text
    tools = dict(_named(part) for part in choice["tools"].split(",")) if choice else {}
    rest = server.removeprefix(SCHEME)
    if rest.startswith(_STDIO):
        try:
            command = tuple(shlex.split(rest.removeprefix(_STDIO)))
        except ValueError as error:
            raise McpAddressError(f"{text!r}: the command cannot be read: {error}") from None
        if command:
            return McpAddress(server, command=command, tools=tools)
    try:
        parts = urlsplit(rest)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc:
        return McpAddress(server, url=rest, tools=tools)
    hint = "; a token goes into an environment variable" if "@" in parts.netloc else ""
    raise McpAddressError(f"{text!r} is no MCP server: write mcp:https://HOST/PATH or mcp:stdio:COMMAND{hint}")


def _named(part: str) -> tuple[str, str]:
    name, _, called = part.partition("=")
    return name, called or re.sub(r"\W", "_", name)

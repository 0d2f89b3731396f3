"""The connections that a process holds to services, for its end."""

from contextlib import suppress
from typing import Final

from gog.transforms.services.http import close_client
from gog.transforms.services.loop import run_on_loop
from gog.transforms.services.mcp.server import close_servers

_PATIENCE_S: Final = 5.0
"""Seconds that each kind has to end."""


def close_connections() -> None:
    """Close those over HTTP, and those to MCP servers."""
    for close in (close_client, close_servers):
        with suppress(TimeoutError):
            run_on_loop(close(), _PATIENCE_S)

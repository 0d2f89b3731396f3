"""A server that tools are asked of, through the official SDK (the extra `mcp`): one connection a process.

Whatever a server does, a call ends with its answer or with a `ServiceError`. How long it may take is the gateway's to
say; how much it may send is said here. A connection that failed is given up, and the next call makes another.
"""

import asyncio
import base64
import binascii
import logging
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol

from gog.schemas import FailureClass
from gog.transforms.dialect.observations import one_line
from gog.transforms.extras import install
from gog.transforms.images import ImageError, ImageLimits, load_image
from gog.transforms.services.loop import joined, shared
from gog.transforms.services.mcp.address import McpAddress, parse_address
from gog.transforms.services.mcp.pinned import MAX_TOOLS, McpListError, PinnedTool, changed, pin
from gog.transforms.services.protocols import ServiceError, ToolAnswer, ToolPart

MAX_BYTES: Final = 16 << 20
"""Bytes of one message of a server."""
MAX_CHARACTERS: Final = 16_000
"""Characters of an answer that are kept."""
MAX_PICTURES: Final = 4
"""Pictures of an answer that are kept."""
_PICTURE: Final = ImageLimits(max_bytes=MAX_BYTES)
_PAGES: Final = 8
"""Pages of a list of tools."""
_CONNECT_S: Final = 30.0

Keep = Callable[[bytes, str], str]
"""Keeps a picture's file of a suffix, and gives its hash."""


class ToolServer(Protocol):
    """What tools are asked of."""

    async def call(self, pinned: PinnedTool, arguments: Mapping[str, Any], keep: Keep) -> ToolAnswer:
        """What the tool says; pictures go to `keep`. Raises `ServiceError`."""


def check_there(address: McpAddress) -> None:
    """Raise `McpListError` where the SDK is not installed, or the server's program is not here."""
    if find_spec("mcp") is None:
        raise McpListError(f"{address.server}: mcp is not installed: {install('mcp')}")
    if address.command and shutil.which(address.command[0]) is None:
        raise McpListError(f"{address.server}: there is no program {address.command[0]!r} here")


def server_at(address: str) -> "McpServer":
    """The process's connection to a server; made when it is first asked."""
    return shared(("mcp", address), lambda: McpServer(parse_address(address)))


class McpServer:
    """A server at an address. For the process's loop alone."""

    def __init__(self, address: McpAddress) -> None:
        """Connects to nothing yet."""
        self.address = address
        self._connecting: dict[str, asyncio.Task[Any]] = {}
        self._client: Any = None
        self._leave: asyncio.Event | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._checked = set[PinnedTool]()

    async def tools(self, address: McpAddress) -> tuple[PinnedTool, ...]:
        """The tools that `address` means, pinned. Raises `McpListError` and `ServiceError`."""
        client, listed, cursor = await self._connected(), list[Mapping[str, Any]](), None
        try:
            async with asyncio.timeout(_CONNECT_S):
                for _ in range(_PAGES):
                    page = await client.list_tools(cursor=cursor, cache_mode="refresh")
                    listed += [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in page.tools]
                    cursor = page.next_cursor
                    if cursor is None or len(listed) > 8 * MAX_TOOLS:
                        break
        except Exception as error:
            raise self._failed(error) from error
        info = client.server_info
        return pin(address, one_line(f"{info.name} {info.version}")[:100] if info else "", listed)

    async def call(self, pinned: PinnedTool, arguments: Mapping[str, Any], keep: Keep) -> ToolAnswer:
        """What the tool says. Raises `ServiceError`, also where the tool says that it failed, or is another by now."""
        client, tool = await self._connected(), pinned.name
        if pinned not in self._checked:
            await self._check(pinned)
        try:
            result = await client.call_tool(tool, dict(arguments))
        except Exception as error:
            raise self._failed(error) from error
        parts = await asyncio.to_thread(_parts, result.content, keep)
        if result.is_error:
            said = one_line(" ".join(part.text for part in parts))[:200]
            raise ServiceError(FailureClass.SERVER, f"{self.address.place}: {tool} failed: {said}")
        return ToolAnswer(parts=parts)

    async def _check(self, pinned: PinnedTool) -> None:
        """Once a connection: the server may have been started anew, as another."""
        alone = replace(self.address, tools={pinned.name: pinned.called})
        try:
            said = changed([pinned], await self.tools(alone))
        except McpListError as error:
            said = str(error)
        if said:
            raise ServiceError(FailureClass.SETUP, f"{self.address.place} is not as it was when the run began: {said}")
        self._checked.add(pinned)

    async def close(self) -> None:
        """End the connection, and the server's process where there is one."""
        keeper, self._client = self._keeper, None
        if self._leave is not None and keeper is not None and keeper.get_loop() is asyncio.get_running_loop():
            self._leave.set()
            await asyncio.wait({keeper})

    async def _connected(self) -> Any:
        if self._client is None or self._keeper is None or self._keeper.done():
            await joined(self._connecting, "", self._connect)
        return self._client

    async def _connect(self) -> None:
        """A connection, held by a task of its own: the SDK wants it left by the task that entered it."""
        ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._leave = leave = asyncio.Event()
        self._checked.clear()
        _servers.add(self)
        self._keeper = keeper = asyncio.create_task(_hold(self.address, ready, leave))
        try:
            async with asyncio.timeout(_CONNECT_S):
                self._client = await asyncio.shield(ready)
        except TimeoutError:
            keeper.cancel()
            raise ServiceError(FailureClass.TIMEOUT, f"{self.address.place} does not begin to talk MCP") from None

    def _failed(self, error: Exception) -> ServiceError:
        """The failure; a connection that is broken is given up."""
        failed = _service_error(self.address, error)
        if failed.failure is FailureClass.NETWORK and self._leave is not None:
            self._client = None
            self._leave.set()
        return failed


_servers: set[McpServer] = set()


async def close_servers() -> None:
    """End the process's connections."""
    while _servers:
        await _servers.pop().close()


async def _hold(address: McpAddress, ready: "asyncio.Future[Any]", leave: asyncio.Event) -> None:
    """Keep a connection until it is to be left."""
    from mcp import Client

    logging.getLogger("mcp").setLevel(logging.CRITICAL)  # it shows what a server writes, at length
    try:
        async with AsyncExitStack() as stack:
            transport = await stack.enter_async_context(_transport(address))
            client = await stack.enter_async_context(Client(transport))
            ready.set_result(client)
            await leave.wait()
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # groups of exceptions too: whoever waits is told
        if not ready.done():
            ready.set_exception(_service_error(address, error))
            ready.exception()


@asynccontextmanager
async def _transport(address: McpAddress) -> AsyncIterator[Any]:
    """What the SDK's client talks through, bounded."""
    if address.url:
        from mcp.client.streamable_http import streamable_http_client

        async with _http_client(address) as client:
            yield streamable_http_client(address.url, http_client=client, max_sse_event_size=MAX_BYTES)
    else:
        from mcp.client.stdio import StdioServerParameters, stdio_client

        pipe = str(Path(__file__).with_name("bounded_pipe.py"))
        arguments = ["-I", pipe, str(MAX_BYTES), *address.command]
        with open(os.devnull, "w") as nowhere:  # noqa: ASYNC230, PTH123  # nothing is written or waited for
            yield stdio_client(StdioServerParameters(command=sys.executable, args=arguments), errlog=nowhere)


def _http_client(address: McpAddress) -> Any:
    """A client of HTTP that reads no more than a message may have, and sends the host's own token alone."""
    import httpx2

    async def bounded(response: httpx2.Response) -> None:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise httpx2.RemoteProtocolError("an answer that is packed, though that was not asked for")
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            response.stream = _Bounded(response.stream)

    class _Bounded(httpx2.AsyncByteStream):
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        async def __aiter__(self) -> AsyncIterator[bytes]:
            left = MAX_BYTES
            async for piece in self._stream:
                left -= len(piece)
                if left < 0:
                    raise httpx2.RemoteProtocolError(f"a message of more than {MAX_BYTES} bytes")
                yield piece

        async def aclose(self) -> None:
            await self._stream.aclose()

    token = os.environ.get(address.token_variable, "").strip()
    headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {token}"} if token else {})
    timeout = httpx2.Timeout(_CONNECT_S, read=None)
    return httpx2.AsyncClient(headers=headers, timeout=timeout, event_hooks={"response": [bounded]})


def _parts(content: Any, keep: Keep) -> tuple[ToolPart, ...]:
    """The parts of an answer, cut: texts, links and pictures. What is none of them is named."""
    parts, left, pictures = list[ToolPart](), MAX_CHARACTERS, 0
    for block in content[:64]:
        part = ToolPart(text=f"({block.type}, left out)")
        if block.type == "text":
            part = ToolPart(text=block.text[:left])
        elif block.type == "resource_link":
            title, said = (block.title or block.name)[:200], (block.description or "")[:left]
            part = ToolPart(said, title, str(block.uri)[:2000])
        elif block.type == "resource" and isinstance(getattr(block.resource, "text", None), str):
            part = ToolPart(url=str(block.resource.uri)[:2000], text=block.resource.text[:left])
        elif block.type == "image" and pictures < MAX_PICTURES:
            pictures += 1
            part = _picture(block.data, keep)
        left -= len(part.text)
        parts.append(part)
        if left <= 0:
            break
    return tuple(parts)


def _picture(data: str, keep: Keep) -> ToolPart:
    try:
        loaded = load_image(base64.b64decode(data, validate=True), _PICTURE)
    except (ImageError, binascii.Error, ValueError):
        return ToolPart(text="(image, cannot be read)")
    width, height = loaded.image.size
    return ToolPart(image=keep(loaded.data, loaded.suffix), width=width, height=height)


def _service_error(address: McpAddress, error: BaseException) -> ServiceError:
    """What of the SDK's failures a run knows: the connection's, the server's, or an answer that is none."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, BaseExceptionGroup):
        return _service_error(address, error.exceptions[0])
    from mcp import MCPError
    from mcp_types import CONNECTION_CLOSED
    from pydantic import ValidationError

    status = getattr(getattr(error, "response", None), "status_code", 0)
    if isinstance(error, TimeoutError):
        failure = FailureClass.TIMEOUT
    elif status in (401, 403):
        failure = FailureClass.AUTH
    elif isinstance(error, ValidationError | RuntimeError | ValueError):
        failure = FailureClass.MALFORMED
    elif isinstance(error, MCPError):
        failure = FailureClass.NETWORK if error.code == CONNECTION_CLOSED else FailureClass.SERVER
    else:
        failure = FailureClass.NETWORK
    said = one_line(str(error) or type(error).__name__)[:200]
    return ServiceError(failure, f"{address.place}: {said}")

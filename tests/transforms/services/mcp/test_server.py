"""Servers of the official SDK and hostile ones, on the loopback and behind a pipe."""

import asyncio
import base64
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import pytest
from fakes import MemoryImages
from published import picture

from gog.schemas import FailureClass
from gog.transforms.services.mcp.address import parse_address
from gog.transforms.services.mcp.pinned import PinnedTool
from gog.transforms.services.mcp.server import MAX_CHARACTERS, McpServer, close_servers
from gog.transforms.services.protocols import ServiceError, ToolPart

pytest.importorskip("mcp")
T = TypeVar("T")
SERVER = """
import base64, os, pathlib
from mcp.server.mcpserver import Image, MCPServer
server = MCPServer("tried", version="1")
@server.tool()
def say(what: str) -> str:
    return what * 3
@server.tool()
def environment() -> str:
    return " ".join(os.environ)
@server.tool()
def show() -> list:
    data = pathlib.Path("picture.jpg").read_bytes()
    return ["A harbour.", *[Image(data=data, format="jpeg")] * 5, Image(data=b"no picture", format="jpeg")]
server.run("stdio")
"""


def talk(speak: Callable[[], Coroutine[Any, Any, T]]) -> T:
    async def go() -> T:
        try:
            return await asyncio.wait_for(speak(), 60)
        finally:
            await close_servers()

    return asyncio.run(go())


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    Path("server.py").write_text(SERVER, "utf-8")
    Path("picture.jpg").write_bytes(picture(0))
    return f"mcp:stdio:{sys.executable} server.py"


async def listed(server: McpServer) -> dict[str, PinnedTool]:
    return {tool.called: tool for tool in await server.tools(server.address)}


def test_texts_and_pictures_of_a_tool(address: str) -> None:
    images = MemoryImages()

    async def speak() -> None:
        server = McpServer(parse_address(address))
        tools = await listed(server)
        said = await server.call(tools["say"], {"what": "x" * 10_000}, images.put)
        assert said.parts == (ToolPart(text="x" * MAX_CHARACTERS),)
        shown = (await server.call(tools["show"], {}, images.put)).parts
        assert [bool(part.image) for part in shown] == [False, True, True, True, True, False, False]
        assert images.read(shown[1].image) == picture(0)
        environment = (await server.call(tools["environment"], {}, images.put)).parts[0].text
        assert "PATH" in environment
        assert "OPENAI_API_KEY" not in environment

    talk(speak)


def test_a_server_that_was_started_anew_as_another_is_not_asked(address: str) -> None:
    async def speak() -> FailureClass:
        server = McpServer(parse_address(address))
        before = (await listed(server))["say"]
        await server.close()
        Path("server.py").write_text(  # noqa: ASYNC240
            SERVER.replace('version="1"', 'version="2"'), "utf-8"
        )
        with pytest.raises(ServiceError, match="it was tried 1 and is tried 2") as error:
            await server.call(before, {"what": "x"}, MemoryImages().put)
        return error.value.failure

    assert talk(speak) is FailureClass.SETUP


@pytest.mark.parametrize("code", ["raise SystemExit", "while True: print('{' * 9999, end='')", "print('{}'); input()"])
def test_what_is_no_server_of_mcp_fails_as_a_service(code: str) -> None:
    async def speak() -> FailureClass:
        with pytest.raises(ServiceError) as error:
            await listed(McpServer(parse_address(f'mcp:stdio:{sys.executable} -c "{code}"')))
        return error.value.failure

    assert talk(speak).passing


@contextmanager
def web(status: int, kind: str, body: bytes, **headers: str) -> Iterator[tuple[str, list[str]]]:
    tokens: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            tokens.append(self.headers.get("Authorization", ""))
            self.send_response(status)
            for name, value in {"Content-Type": kind, **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"mcp:http://127.0.0.1:{server.server_port}/mcp", tokens
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "kind", "body", "headers"),
    [
        (200, "application/json", b"{}", {}),
        (200, "application/json", b"[" * (17 << 20), {}),
        (200, "text/html", b"<html>", {}),
        (200, "application/json", base64.b64encode(b"x"), {"Content_Encoding": "gzip"}),
        (500, "text/plain", b"down", {}),
        (302, "text/plain", b"", {"Location": "http://169.254.169.254/"}),
    ],
    ids=["nothing", "too large", "a page", "packed", "down", "elsewhere"],
)
def test_answers_that_are_none(
    status: int, kind: str, body: bytes, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOG_MCP_TOKEN_127_0_0_1", "t0ken")

    async def speak() -> ServiceError:
        with pytest.raises(ServiceError) as error:
            await listed(McpServer(parse_address(place)))
        return error.value

    with web(status, kind, body, **headers) as (place, tokens):
        failed = talk(speak)
    assert failed.failure.passing, failed
    assert set(tokens) == {"Bearer t0ken"}

"""The tools of a config as an MCP server: its searches, crops and pages, behind the same store, limits and budget."""

import asyncio
import base64
import binascii
import hmac
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Final

from gog.pipelines.config.config import Config, ConfigError
from gog.pipelines.connect.services import check_ready, services_for
from gog.schemas import WHOLE, EpisodeImage
from gog.transforms.dialect.turns import Call, Mistake
from gog.transforms.episode.tool import Scene, Tool
from gog.transforms.extras import install
from gog.transforms.images import ImageError, ImageLimits, load_image, media_type
from gog.transforms.services.loop import process_loop
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.search.settings import JUDGE

TOKEN: Final = "GOG_TOOLS_TOKEN"  # noqa: S105  # the name of a variable
PATH: Final = "/mcp"
_MAX_BODY: Final = 24 << 20
_IMAGE: Final = {"type": "string", "description": "The picture's file (JPEG, PNG or WebP), in base64."}
_EMBEDDED: Final = "planner:skill=1"

Asgi = Callable[[Any, Any, Any], Awaitable[None]]


class WrongCallError(ValueError):
    """What is wrong with a call, for whoever made it."""


class ServedTools:
    """The tools of ours that a config's episode offers, each call by itself: pictures come with it.

    Those that take the number of an earlier result are left out.
    """

    def __init__(self, config: Config) -> None:
        """Opens the searches. Raises `ConfigError`."""
        if find_spec("mcp") is None:
            raise ConfigError(f"mcp is not installed: {install('mcp')}")
        # Nobody else is opened, asked for a key or for a price.
        alone: dict[str, Any] = {"teacher": _EMBEDDED, "labeller": _EMBEDDED, "panel": (), "detector": ""}
        judged = (config.pages and config.reading.summary) or config.search.rerank == JUDGE
        alone |= {} if judged else {"judge": _EMBEDDED}
        self._config = config = config.model_copy(update=alone)
        check_ready(config)
        self._services = services_for(config.model_dump_json())
        self._services.gateway.run = f"{config.run}/tools"
        self._limits = ImageLimits(max_bytes=_MAX_BODY)
        self.tools = {tool.name: tool for tool in config.episode.own if not tool.takes_result}

    def schema(self, tool: Tool) -> dict[str, Any]:
        """The arguments of a tool; a picture is among them where it looks at one."""
        properties: dict[str, Any] = tool.properties(self._config.episode.frame)
        picture = {"image": _IMAGE} if _takes_picture(tool) else {}
        required = [*tool.required, *(picture if not tool.takes_words else ())]
        return {"type": "object", "properties": properties | picture, "required": required}

    async def call(self, name: str, arguments: Mapping[str, Any]) -> tuple[str, tuple[bytes, ...]]:
        """What a model would be shown: text, and the files of pictures. Raises `WrongCallError`, `ServiceError`."""
        tool, episode = self.tools.get(name), self._config.episode
        if tool is None:
            raise WrongCallError(f"there is no tool {name[:60]!r}; there are {', '.join(self.tools)}")
        read = tool.read({key: value for key, value in arguments.items() if key != "image"})
        if isinstance(read, str):
            raise WrongCallError(read)
        original = EpisodeImage(sha256="0" * 64, width=1, height=1, box=WHOLE)
        by_words = tool.takes_words and bool(read.get("query"))
        if by_words and arguments.get("image") is not None:
            raise WrongCallError(f"{name} takes a query or a picture, not both")
        if _takes_picture(tool) and not by_words:
            original = await asyncio.to_thread(self._picture, arguments.get("image"))
        request = tool.resolve(Call(name, read, ""), Scene((original,), episode.spec, max(2, episode.max_images)))
        if isinstance(request, Mistake):
            raise WrongCallError(request.detail)
        tools = self._services.tools(episode.top_k, "tools")
        running = asyncio.run_coroutine_threadsafe(tools.run(request, original), process_loop())
        result = await asyncio.wrap_future(running)
        pictures = ((result.crop,) if result.crop else ()) + result.evidence.pictures
        files = [await asyncio.to_thread(self._services.images.read, picture.sha256) for picture in pictures]
        return tool.show(result.evidence, episode.observation_tokens), tuple(files)

    def _picture(self, written: object) -> EpisodeImage:
        if not isinstance(written, str):
            raise WrongCallError("image: the picture's file, in base64")
        try:
            loaded = load_image(base64.b64decode(written, validate=True), self._limits)
        except (binascii.Error, ValueError) as error:
            raise WrongCallError("image is no base64") from error
        except ImageError as error:
            raise WrongCallError(f"image: {error}") from error
        width, height = loaded.image.size
        sha256 = self._services.images.put(loaded.data, loaded.suffix)
        return EpisodeImage(sha256=sha256, width=width, height=height, box=WHOLE)


def mcp_server(served: ServedTools) -> Any:
    """The server of the SDK."""
    import mcp_types as types
    from mcp.server.lowlevel import Server

    async def list_tools(*_: Any) -> Any:
        listed = [
            types.Tool(name=name, description=tool.about, input_schema=served.schema(tool))
            for name, tool in served.tools.items()
        ]
        return types.ListToolsResult(tools=listed)

    async def call_tool(_: Any, asked: Any) -> Any:
        try:
            text, files = await served.call(asked.name, asked.arguments or {})
        except (WrongCallError, ServiceError) as error:
            said = str(error) or type(error).__name__
            return types.CallToolResult(content=[types.TextContent(type="text", text=said)], is_error=True)
        pictures = [
            types.ImageContent(type="image", data=base64.b64encode(data).decode(), mime_type=media_type(data))
            for data in files
        ]
        return types.CallToolResult(content=[types.TextContent(type="text", text=text), *pictures])

    return Server("gog", version=version("glance-or-gaze"), on_list_tools=list_tools, on_call_tool=call_tool)


async def serve_stdio(served: ServedTools) -> None:
    """Serve whoever started the process, until its standard input ends."""
    from mcp.server.stdio import stdio_server

    server = mcp_server(served)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


@asynccontextmanager
async def serving_http(served: ServedTools, host: str, port: int) -> AsyncIterator[str]:
    """Serve streamable HTTP meanwhile; gives the address. Raises `OSError` where it cannot listen.

    Where `GOG_TOOLS_TOKEN` is set, requests need it as a bearer token.
    """
    import uvicorn

    class Server(uvicorn.Server):
        def capture_signals(self) -> Any:
            """The command's own hold."""
            return nullcontext()

    app = mcp_server(served).streamable_http_app(
        streamable_http_path=PATH, stateless_http=True, json_response=True, max_request_body_size=_MAX_BODY, host=host
    )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listening:
        guarded = _guarded(app, os.environ.get(TOKEN, "").strip())
        server = Server(uvicorn.Config(guarded, log_level="critical", server_header=False, timeout_graceful_shutdown=2))
        running = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            name = f"[{host}]" if family is socket.AF_INET6 else host
            yield f"http://{name}:{listening.getsockname()[1]}{PATH}"
        finally:
            server.should_exit = True
            await running


def _guarded(app: Asgi, token: str) -> Asgi:
    """The app, for those who have the token."""

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        given = dict(scope.get("headers") or ()).get(b"authorization", b"")
        if scope["type"] == "http" and token and not hmac.compare_digest(given, f"Bearer {token}".encode()):
            headers = [(b"www-authenticate", b"Bearer"), (b"content-type", b"text/plain")]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": b"a bearer token is needed\n"})
            return
        await app(scope, receive, send)

    return guarded


def _takes_picture(tool: Tool) -> bool:
    return tool.looks or tool.asks == "image_search"

"""What keeps other sites away from a server.

A page of any site can send requests to 127.0.0.1, or have its own name resolve to it. So the server answers only to
its own names, tells browsers to load nothing from elsewhere and to run no script of a page, and writes only for
requests of its own pages, which carry its token.
"""

import hmac
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

HOSTS: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""Names that a server on the loopback answers to, on any port: an SSH tunnel's end has another."""
TOKEN_HEADER: Final = "X-Gog-Token"  # noqa: S105  # a header's name
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Server": "gog",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def guard(token: str, answers_to: Callable[[web.Request], bool]) -> Middleware:
    """The middleware that refuses what no page of ours would send; `answers_to` knows the server by its names."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        refused = refusal(request, token, known=answers_to(request))
        if refused:
            return web.Response(status=403, text=f"refused: {refused}\n")
        return await handler(request)

    return guarded


def refusal(request: web.Request, token: str, *, known: bool) -> str:
    """Why a request is refused; empty when it is not. `known` says that the server has the name in its `Host`."""
    if not known:
        return "the address in the Host header is not this server's; use http://127.0.0.1, or name it with --name"
    site = request.headers.get("Sec-Fetch-Site", "none")
    if request.method in ("GET", "HEAD"):
        opened = request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
        return "" if site in ("same-origin", "none") or opened else "another site asked for it"
    if site not in ("same-origin", "none"):
        return "another site sent it"
    origin = request.headers.get("Origin")
    host = request.headers.get("Host", "")
    if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
        return "it comes from another origin"
    if request.content_type != "application/json":
        return "only JSON is taken"
    if not hmac.compare_digest(request.headers.get(TOKEN_HEADER, "").encode("utf-8", "replace"), token.encode()):
        return "the page is of an earlier server: reload it"
    return ""


def host_name(host: str) -> str:
    """The name in a `Host` header, without the port."""
    name, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    return (name if name and port.isdigit() else host).lower()


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """A signal's receiver: the headers of every answer."""
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")

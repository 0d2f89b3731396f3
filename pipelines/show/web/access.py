"""Who may open the pages, and what for: whoever has a token, or whom a proxy names.

On a machine with several accounts all of them reach its loopback, so a token is asked for there too. It comes in a
link once; a cookie takes its place, which another host's pages do not get and which opens nothing but this server. A
token of its own, made of the other, lets somebody look and change nothing.
"""

import errno
import hashlib
import hmac
import ipaddress
import secrets
import socket
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from gog.pipelines.lake.review_files import reviewer_name
from gog.pipelines.show.web.security import HOSTS, Handler, host_name

TOKEN: Final = "GOG_VIEW_TOKEN"  # noqa: S105  # the name of a variable
LEAST_TOKEN: Final = 16
"""Characters of a token that somebody chose."""
MOST_WRONG, WITHIN_S = 10, 60.0
"""Wrong tokens of one address in so many seconds, after which none is looked at."""
MOST_PEERS: Final = 1024
"""Addresses whose wrong tokens are counted, the latest ones."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Guest(NamedTuple):
    """Who asks: whether they may write, and the name that a proxy gives them."""

    writes: bool
    user: str | None = None


_GUEST: Final = ContextVar[Guest]("guest")


def guest() -> Guest:
    """Who asks, in a request that was let in; elsewhere nobody, who may write nothing."""
    return _GUEST.get(Guest(writes=False))


@dataclass(frozen=True, slots=True)
class Access:
    """What a server asks of those who come."""

    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    """Opens everything; empty: whoever reaches the server may use it."""
    names: tuple[str, ...] = ()
    """More names that it answers to, those with TLS before it as `https://NAME`; the first one is in its links."""
    here: bool = True
    """It listens on the loopback alone."""
    user_header: str = ""
    """Where a proxy names the user; then only proxies are answered."""
    proxies: tuple[Network, ...] = ()
    read_only: bool = False

    @property
    def reading_token(self) -> str:
        """Opens the pages, and writes nothing: the same one as long as the token is."""
        return hmac.new(self.token.encode(), b"read only", hashlib.sha256).hexdigest()[:32]

    def links(self, address: str) -> list[str]:
        """What to open: the link that may do everything, unless nothing may be changed, and the one that only reads."""
        name = self.names[0] if self.names else ""
        root = f"{name if '://' in name else f'http://{name}'}/" if name else address
        if not self.token or self.user_header:
            return [root]
        tokens = [self.reading_token] if self.read_only else [self.token, self.reading_token]
        return [f"{root}?token={quote(token, safe='')}" for token in tokens]

    def answers_to(self, request: web.Request) -> bool:
        """Whether the name in a request's `Host` is one of the server's."""
        name = host_name(request.host)
        if name in HOSTS or name in {host_name(urlsplit(n if "://" in n else f"//{n}").netloc) for n in self.names}:
            return True
        if self.here:
            return False
        # The address by which it was reached: no page of another site has that for its name.
        reached = request.transport.get_extra_info("sockname") if request.transport else None
        return name == socket.gethostname().lower() or (reached is not None and name.strip("[]") == _plain(reached[0]))

    def has_tls(self, request: web.Request) -> bool:
        """Whether browsers reach the server by TLS under the name that this request has."""
        return any(host_name(urlsplit(n).netloc) == host_name(request.host) for n in self.names if n[:8] == "https://")


class Door:
    """Lets requests in, or says why not; for one server."""

    def __init__(self, access: Access, bare: Callable[[int, str, str], web.Response]) -> None:
        """`bare` makes a page of a status and a line; it opens an address, or of a refusal has a link to it."""
        self._access = access
        self._bare = bare
        self._secret = secrets.token_bytes(32)
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def middleware(self) -> Middleware:
        """What stands before all handlers, behind the guard."""

        @web.middleware
        async def admitted(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.startswith("/static/") and request.method in ("GET", "HEAD"):
                _GUEST.set(Guest(writes=False))
                return await handler(request)
            found = self._from_proxy(request) if self._access.user_header else self._by_token(request)
            if isinstance(found, web.Response):
                return found
            if request.method not in ("GET", "HEAD") and not found.writes:
                return web.Response(status=403, text="this link only reads: nothing was changed\n")
            _GUEST.set(found)
            return await handler(request)

        return admitted

    def _from_proxy(self, request: web.Request) -> Guest | web.Response:
        access, peer = self._access, _plain(request.remote or "")
        address = ipaddress.ip_address(peer) if peer else None
        if address is None or not any(address in network for network in access.proxies):
            return self._refused(request, 403, "this server answers its proxy alone")
        # Whoever has an account on this machine has its addresses too, not those of the loopback alone.
        keyed = not access.token or _same(_bearer(request), access.token)
        if not keyed and on_this_machine(address, _zone(request)):
            return self._refused(request, 403, f"a proxy on this machine has to send {TOKEN} as its bearer token")
        given = request.headers.getall(access.user_header, [])
        try:
            user = reviewer_name(given[0] if len(given) == 1 else "")
        except ValueError:
            return self._refused(request, 401, f"the proxy gives no user in {access.user_header}")
        return Guest(not access.read_only, user)

    def _by_token(self, request: web.Request) -> Guest | web.Response:
        access = self._access
        if not access.token:
            return Guest(not access.read_only)
        given = _bearer(request) or request.query.get("token", "")
        if not given:
            cookie = request.cookies.get(_cookie_name(request), "")
            for writes in (True, False):
                if _same(cookie, self._cookie(request, writes=writes)):
                    return Guest(writes)
            return self._locked(request)
        peer = _network(request.remote or "")
        if self._too_many(peer):
            return self._refused(request, 429, "too many wrong tokens: wait a minute")
        if _same(given, access.token):
            found = Guest(not access.read_only)
        elif _same(given, access.reading_token):
            found = Guest(writes=False)
        else:
            self._count(peer)
            return self._refused(request, 401, "the token is another one: open the link that `gog view` printed last")
        return found if _bearer(request) or request.method != "GET" else self._entered(request, writes=found.writes)

    def _entered(self, request: web.Request, *, writes: bool) -> web.Response:
        """The same page without the token in its address, and the cookie for it.

        The browser goes there from a page of ours: a redirect would count as the other site's whose link was clicked,
        and then the cookie stays behind.
        """
        response = self._bare(200, "Opening …", _target(request))
        response.set_cookie(
            _cookie_name(request),
            self._cookie(request, writes=writes),
            httponly=True,
            samesite="Strict",
            secure=self._access.has_tls(request),
            path="/",
        )
        return response

    def _locked(self, request: web.Request) -> web.Response:
        if request.method == "GET" and request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
            # Who follows a link of another site has the cookie perhaps: it comes when a page of ours asks.
            return self._bare(200, "Opening …", _target(request))
        return self._refused(request, 401, "it opens with its token: use the link that `gog view` printed")

    def _refused(self, request: web.Request, status: int, line: str) -> web.Response:
        if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
            return self._bare(status, line, _target(request))
        return web.Response(status=status, text=f"{line}\n")

    def _cookie(self, request: web.Request, *, writes: bool) -> str:
        """Good for one server, one name of it, and one right."""
        said = f"{'writes' if writes else 'reads'}\n{request.host.lower()}"
        return hmac.new(self._secret, said.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def _too_many(self, peer: str) -> bool:
        times = self._wrong.get(peer, deque())
        while times and times[0] < time.monotonic() - WITHIN_S:
            times.popleft()
        return len(times) >= MOST_WRONG

    def _count(self, peer: str) -> None:
        self._wrong.setdefault(peer, deque(maxlen=MOST_WRONG)).append(time.monotonic())
        self._wrong.move_to_end(peer)
        while len(self._wrong) > MOST_PEERS:
            self._wrong.popitem(last=False)


def on_this_machine(address: Address, zone: int = 0) -> bool:
    """Whether this machine has the address, so that any account of it can speak from there; True where that is unclear.

    `zone` is the number of the interface that an IPv6 address of a link belongs to.
    """
    if address.is_loopback:
        return True
    try:
        if isinstance(address, ipaddress.IPv4Address):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind((str(address), 0))
        else:
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
                probe.bind((str(address), 0, 0, zone))
    except OSError as error:
        return error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    return True


def _zone(request: web.Request) -> int:
    peer = request.transport.get_extra_info("peername") if request.transport else None
    return peer[3] if isinstance(peer, tuple) and len(peer) == 4 else 0


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _cookie_name(request: web.Request) -> str:
    """Browsers keep one jar for all ports of a host; servers on two of them do not take each other's."""
    port = request.host.rpartition(":")[2]
    return f"gog_view_{port}" if port.isdigit() else "gog_view"


def _target(request: web.Request) -> str:
    """Where a request wants to go, on this server whatever its path looks like, and without a token."""
    url = request.rel_url.without_query_params("token")
    return "/" + str(url).lstrip("/\\")


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _plain(address: str) -> str:
    """An address without its zone; an IPv4 one that came as IPv6, as itself."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    return str(getattr(ip, "ipv4_mapped", None) or ip)


def _network(peer: str) -> str:
    """Whom wrong tokens are counted for: an address, of IPv6 what one customer has."""
    address = _plain(peer)
    return str(ipaddress.ip_network(f"{address}/64", strict=False)) if ":" in address else address

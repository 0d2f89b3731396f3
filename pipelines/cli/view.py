"""Look at trajectories in the browser, and review them.

A list to filter and sort; a page for each trajectory with image, boxes, crops, turns, evidence and verdict; two
attempts side by side. Accept, reject, correct a box, comment: `gog export --reviewed` honours it. Ctrl-C ends it.
"""

import asyncio
import ipaddress
import os
import re
import sys
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

import typer

from gog.pipelines.cli.errors import UseError
from gog.pipelines.cli.options import LakeOption, OfConfig, example, option
from gog.pipelines.cli.serving import is_loopback, serve
from gog.pipelines.cli.targets import reviewer_of, runs_of

if TYPE_CHECKING:
    from gog.pipelines.show.web.access import Access, Network

PORT: Final = 8322
MORE: Final = (
    "It opens with the link that it prints, which holds a token (yours where GOG_VIEW_TOKEN has one); with the second "
    "link nothing can be changed. It listens on this machine alone unless --host says otherwise, and speaks no TLS: a "
    "proxy does. From another machine: ssh -L 8322:127.0.0.1:8322 HOST, then the same link. "
    "Press ? in the browser for the keys. Reviews are kept in LAKE/runs/RUN/reviews as they are made."
)
EXAMPLES = example(
    "gog view",
    "gog view --lake /data/lake --run fvqa --reviewer ana",
    "gog view --host 0.0.0.0 --read-only",
    "gog view --name https://review.example.org",
    "gog view --host 0.0.0.0 --user-header X-User --trust-proxy 10.0.0.7",
    more=MORE,
)
_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?")
_HEADER: Final = re.compile(r"[A-Za-z0-9-]+")


def view(
    config: OfConfig = None,
    lake: LakeOption = None,
    name: Annotated[str | None, option("--run", "NAME", "The run to open first; all of the lake can be seen.")] = None,
    port: Annotated[int, option("--port", "NUMBER", "Port to listen on; 0 takes a free one.", min=0, max=65535)] = PORT,
    reviewer: Annotated[str | None, option("--reviewer", "NAME", "Who reviews; your login unless given.")] = None,
    host: Annotated[str, option("--host", "ADDRESS", "Address to listen on; 0.0.0.0 is every one.")] = "127.0.0.1",
    names: Annotated[
        list[str] | None, option("--name", "NAME", "A name by which others reach it, https://NAME behind TLS. Repeat.")
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Nobody can change anything.")] = False,
    no_token: Annotated[bool, typer.Option("--no-token", help="Any account of this machine may use it.")] = False,
    user_header: Annotated[
        str | None, option("--user-header", "HEADER", "Who reviews is what a proxy says here; needs --trust-proxy.")
    ] = None,
    trust_proxy: Annotated[
        list[str] | None, option("--trust-proxy", "ADDRESS", "The proxy: an address or a network. Repeat for more.")
    ] = None,
) -> None:
    from gog.pipelines.show.web.access import Access
    from gog.pipelines.show.web.server import Viewer, serving

    runs = runs_of(config, lake, name)
    who = reviewer_of(reviewer)
    proxies = tuple(map(_network, trust_proxy or ()))
    access = Access(
        token=_token(host, user_header, proxies, no_token=no_token),
        names=tuple(map(_named, names or ())),
        here=is_loopback(host),
        user_header=user_header or "",
        proxies=proxies,
        read_only=read_only,
    )
    if not is_loopback(host) and not any(name.startswith("https://") for name in access.names):
        behind = "behind a proxy with TLS, say --name https://NAME"
        print(f"gog: it speaks no TLS, and whoever is on the way reads along; {behind}", file=sys.stderr)
    first = runs[0].name if len(runs) == 1 else None
    viewing = serving(Viewer(runs[0].lake, who, first, access), port, host)
    asyncio.run(serve(viewing, host, port, lambda address: _tell(access, address), keyed=True))


def _tell(access: "Access", address: str) -> None:
    first, *more = access.links(address)
    what = " to look, and change nothing" if access.read_only else ""
    print(f"Open {first} in a browser{what}; Ctrl-C ends it")
    for link in more:
        print(f"To let somebody look, and change nothing: {link}")


def _token(host: str, user_header: str | None, proxies: "tuple[Network, ...]", *, no_token: bool) -> str:
    """The token that opens the server; empty where none is asked for. Raises `UseError`."""
    from gog.pipelines.show.web.access import LEAST_TOKEN, TOKEN, Access, on_this_machine

    if user_header and not _HEADER.fullmatch(user_header):
        raise UseError(f"--user-header: {user_header!r} is no header's name, such as X-Forwarded-User")
    if bool(user_header) != bool(proxies):
        raise UseError("--user-header and --trust-proxy go together: which header, and from whom it is believed")
    given = os.environ.get(TOKEN, "").strip()
    if no_token:
        if not user_header and not is_loopback(host):
            raise UseError(f"--no-token: others reach {host}; leave it out, and send them the link")
        return ""
    if given and len(given) < LEAST_TOKEN:
        raise UseError(f"{TOKEN} has {len(given)} characters: at least {LEAST_TOKEN}, or it is guessed")
    # Of a wide network this machine may have an address without the proxy's being here: that is asked at each request.
    single = [network.network_address for network in proxies if network.num_addresses == 1]
    if not given and (any(network.is_loopback for network in proxies) or any(map(on_this_machine, single))):
        raise UseError(
            f"--trust-proxy: every account of this machine has its addresses: set {TOKEN}, which the proxy then sends "
            "as its bearer token, or say --no-token"
        )
    return given or Access().token


def _network(text: str) -> "Network":
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise UseError(f"--trust-proxy: {text!r} is no address, such as 10.0.0.7 or 10.0.0.0/24") from None
    if not network.prefixlen:
        raise UseError(f"--trust-proxy: {text} is everybody: name the proxy")
    return network


def _named(text: str) -> str:
    """A name as links have it: NAME, NAME:PORT or https://NAME."""
    parts = urlsplit(text if "://" in text else f"http://{text}")
    if parts.scheme not in ("http", "https") or parts.path.strip("/") or not _NAME.fullmatch(parts.netloc):
        raise UseError(f"--name: {text!r} is no name, such as review.example.org or https://review.example.org")
    return f"https://{parts.netloc.lower()}" if parts.scheme == "https" else parts.netloc.lower()

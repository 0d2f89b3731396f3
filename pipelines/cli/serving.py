"""Servers of the command line: they serve until they are told to end."""

import asyncio
import errno
import ipaddress
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager

from gog.pipelines.cli.errors import FellShortError


async def serve(
    serving: AbstractAsyncContextManager[str],
    host: str,
    port: int,
    tell: Callable[[str], None],
    *,
    keyed: bool = False,
) -> None:
    """Serve until the process is interrupted or told to end. `serving` listens meanwhile and gives the address, which
    `tell` prints. Unless it is `keyed`, it is said where others reach it. Raises `FellShortError`.
    """
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, ended.set)
    try:
        async with AsyncExitStack() as stack:
            with _listening(host, port):
                address = await stack.enter_async_context(serving)
            if not keyed and not is_loopback(host):
                print(f"gog: whoever reaches {host} may ask this server: it has no key", file=sys.stderr)
            tell(address)
            sys.stdout.flush()
            await ended.wait()
    finally:
        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(signum)


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _listening(host: str, port: int) -> Iterator[None]:
    """What keeps a server from listening, as one line. Raises `FellShortError`."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            why = "something else listens there; name another with --port, or 0 for a free one"
        elif error.errno in {errno.EACCES, errno.EPERM}:
            why = "the system does not allow it; name a port above 1023 with --port"
        else:
            why = f"{error.strerror or error}; name an address of this machine"
        raise FellShortError(f"cannot listen on port {port} of {host}: {why}") from error

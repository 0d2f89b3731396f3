"""Servers that this process has started and that are not up yet: what progress shows of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_servers: "list[Start]" = []


@dataclass(slots=True)
class Start:
    """A server that starts."""

    address: str
    seconds: float = 0.0
    said: str = ""
    """The newest line of its log."""

    def __str__(self) -> str:
        return f"{self.address} is starting, {self.seconds:.0f} s: {self.said or 'its log is empty'}"


@contextmanager
def starting(address: str) -> Iterator[Start]:
    """A start that is told of until the block ends."""
    start = Start(address)
    _servers.append(start)
    try:
        yield start
    finally:
        _servers.remove(start)


def starts() -> str:
    """A line about the servers that start; empty when there is none."""
    return "; ".join(map(str, _servers))

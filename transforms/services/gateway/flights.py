"""A request on its way through the door."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from gog.transforms.services.store.keys import request_key

A = TypeVar("A")


@dataclass(slots=True)
class Request(Generic[A]):
    """A request on its way: its identity, how to make it, and what it may take."""

    kind: str
    provider: str
    purpose: str
    text: str
    make: Callable[[], Awaitable[A]]
    form: TypeAdapter[A]
    prompt_tokens: int = 0
    completion_tokens: int = 0
    ready: Callable[[], Awaitable[None]] | None = None
    key: str = field(init=False)

    def __post_init__(self) -> None:
        self.key = request_key(self.text)


@dataclass(slots=True)
class Flight:
    task: asyncio.Task[Any]
    waiting: int = 0


@dataclass(slots=True)
class Trace:
    """When a request began (since 1970, and on the performance counter), how often it was made, what it cost."""

    started: float
    clock: float
    attempts: int = 0
    cost: float = 0.0

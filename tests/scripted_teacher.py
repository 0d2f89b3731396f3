"""A teacher that answers or fails as it is told, and requests for it: what goes through the one door."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from gog.schemas import FailureClass, ImagePart, Message, TextPart
from gog.transforms.services.protocols import ChatReply, ChatRequest, ServiceError

IMAGE = "a" * 64
REPLY = ChatReply(Message(role="assistant", content="<answer>Chad</answer>"), "stop", 100, 10)


def request(text: str = "Whose flag?", **changes: Any) -> ChatRequest:
    message = Message(role="user", content=(ImagePart(image=IMAGE), TextPart(text=text)))
    return ChatRequest(**({"messages": (message,)} | changes))


class Teacher:
    """Answers what it is told to, one outcome a call, the last one for ever."""

    id = "openai:big@2026"

    def __init__(self, *outcomes: Any, latency_s: float = 0.0) -> None:
        self.outcomes, self._latency_s = list(outcomes) or [REPLY], latency_s
        self.calls: list[ChatRequest] = []

    async def complete(self, request: ChatRequest) -> ChatReply:
        self.calls.append(request)
        await asyncio.sleep(self._latency_s)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, BaseException):
            raise outcome
        assert isinstance(outcome, ChatReply)
        return outcome


class Naps:
    """A sleep that takes no time and remembers."""

    def __init__(self) -> None:
        self.naps: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.naps.append(seconds)


def fails(failure: FailureClass, retry_after: float | None = None) -> ServiceError:
    return ServiceError(failure, "as told", retry_after)


def play(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await asyncio.wait_for(scenario(), 30)

    asyncio.run(main())

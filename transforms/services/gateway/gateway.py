"""The one door to the outside world. Every call of every service goes through it.

A request is looked up in the store; identical requests in flight are made once; what is left passes the provider's
gate and the budget, is retried when its failure may pass, kept, and logged as an event. Failures are raised as
`ServiceError`. Any other exception of a service is a bug in it and goes through as it is: not retried, not kept.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol, TypeVar, runtime_checkable

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from gog.schemas import Event, FailureClass, Hit
from gog.transforms.services.gateway.breaker import Breaker
from gog.transforms.services.gateway.budget import Budget
from gog.transforms.services.gateway.flights import Flight, Request, Trace
from gog.transforms.services.gateway.gate import Gate
from gog.transforms.services.gateway.json_replies import repair
from gog.transforms.services.gateway.prices import FREE
from gog.transforms.services.gateway.retry import Retry, with_retries
from gog.transforms.services.gateway.statistics import Statistics
from gog.transforms.services.protocols import (
    ChatReply,
    ChatRequest,
    Detection,
    Detector,
    ImageSearch,
    OtherTool,
    Page,
    PageReader,
    Policy,
    ServiceError,
    TextSearch,
    ToolAnswer,
)
from gog.transforms.services.store.forms import DETECTIONS, HITS, PAGE, REPLY, TOOL_ANSWER
from gog.transforms.services.store.keys import chat_request, detect_request, page_request, search_request, tool_request
from gog.transforms.services.store.records import AnyStore, Entry, Kept, Mode
from gog.transforms.services.store.schema import StoreError

A = TypeVar("A")

_logger = logging.getLogger(__name__)

_CHARACTERS_A_TOKEN = 3
_TOKENS_AN_IMAGE = 1500
_PAGE_ATTEMPTS = 2
"""A search goes on without a page whose site is down; five attempts would hold it up for minutes."""
_MAY_BE_CHARGED = frozenset({FailureClass.TIMEOUT, FailureClass.MALFORMED, FailureClass.REFUSED})
"""Failures after which the provider may have done the work: they are charged by estimate."""


@runtime_checkable
class Composed(Protocol):
    """A text search made of other services, each of which comes through the door by itself."""

    async def search_through(self, gateway: "Gateway", query: str, top_k: int, purpose: str) -> tuple[Hit, ...]:
        """Hits, best first. Raises `ServiceError`."""


class Gateway:
    """The door of one run in one process; its methods are for one event loop."""

    def __init__(
        self,
        store: AnyStore,
        *,
        budget: Budget | None = None,
        breaker: Breaker | None = None,
        gates: Mapping[str, Gate] | None = None,
        retry: Retry | None = None,
        run: str = "",
        seed: int = 0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`gates` are by service id; several ids may share one, and an id without one gets its own with defaults.

        Without a `breaker` nothing stops a run whose set-up is wrong. `retry` also bounds each attempt; `seed` draws
        the jitter of pauses; `sleep` is for tests.
        """
        self.store, self.budget, self.run = store, budget or Budget(), run
        self.statistics = Statistics()
        self.on_event: Callable[[Event], None] | None = None
        """Told of every call on the event loop, as soon as it has ended."""
        self.breaker = breaker or Breaker(active=False)
        self._gates = dict(gates or {})
        self._retry, self._sleep = retry or Retry(), sleep
        self._rng = random.Random(seed)
        self._flights: dict[str, Flight] = {}

    async def chat(self, policy: Policy, request: ChatRequest, purpose: str) -> ChatReply:
        """A reply of the policy, from the store where it was asked before. Raises `ServiceError`.

        Where JSON of a schema was asked for and the reply is none, the policy is asked once more, with the error.
        """
        reply = await self._chat(policy, request, purpose)
        again = None if request.response_schema is None else repair(request, reply)
        return reply if again is None else await self._chat(policy, again, purpose)

    async def _chat(self, policy: Policy, request: ChatRequest, purpose: str) -> ChatReply:
        text = chat_request(policy.id, request)
        images = sum(len(message.images) for message in request.messages)
        return await self._ask(
            Request(
                kind="chat",
                provider=policy.id,
                purpose=purpose,
                text=text,
                make=partial(policy.complete, request),
                form=REPLY,
                prompt_tokens=len(text) // _CHARACTERS_A_TOKEN + images * _TOKENS_AN_IMAGE,
                # (A protocol asked for at each call would cost more than the gate.)
                completion_tokens=request.sampling.max_tokens + getattr(policy, "thinking_tokens", 0),
                # What a policy has to start first, which no timeout of a call should bound.
                ready=getattr(policy, "ready", None),
            )
        )

    async def detect(
        self, detector: Detector, image_sha256: str, phrases: tuple[str, ...], purpose: str
    ) -> tuple[Detection, ...]:
        """The detector's boxes. Raises `ServiceError`."""
        text = detect_request(detector.id, image_sha256, phrases)
        make = partial(detector.detect, image_sha256, phrases)
        return await self._ask(Request("detect", detector.id, purpose, text, make, DETECTIONS))

    async def text_search(self, service: TextSearch, query: str, top_k: int, purpose: str) -> tuple[Hit, ...]:
        """Hits of a text search. Raises `ServiceError`."""
        if isinstance(service, Composed):
            return await service.search_through(self, query, top_k, purpose)
        return await self._search("text_search", service, query, top_k, purpose)

    async def image_search(self, service: ImageSearch, image_sha256: str, top_k: int, purpose: str) -> tuple[Hit, ...]:
        """Hits of an image search. Raises `ServiceError`."""
        return await self._search("image_search", service, image_sha256, top_k, purpose)

    async def read_page(self, reader: PageReader, url: str, purpose: str) -> Page:
        """The text of a page. Raises `ServiceError`."""
        text, make = page_request(reader.id, url), partial(reader.read, url)
        return await self._ask(Request("page", reader.id, purpose, text, make, PAGE))

    async def use_tool(self, tool: OtherTool, arguments: Mapping[str, Any], purpose: str) -> ToolAnswer:
        """What somebody else's tool says. Raises `ServiceError`."""
        text, make = tool_request(tool.id, arguments), partial(tool.call, arguments)
        return await self._ask(Request("tool", tool.id, purpose, text, make, TOOL_ANSWER))

    async def _search(
        self, kind: str, service: TextSearch | ImageSearch, query: str, top_k: int, purpose: str
    ) -> tuple[Hit, ...]:
        text = search_request(kind, service.id, query, top_k)
        make = partial(service.search, query, top_k)
        return await self._ask(Request(kind, service.id, purpose, text, make, HITS))

    async def _ask(self, request: Request[A]) -> A:
        trace = Trace(time.time(), time.perf_counter())
        flight = self._flights.get(request.key)
        if flight is not None:
            return await self._join(request, trace, flight)
        kept = self.breaker.doubted(request.provider, request.key) or await self.store.find(request.key)
        if kept is not None:
            return self._found(request, trace, kept)
        if (flight := self._flights.get(request.key)) is not None:  # begun while the store was asked
            return await self._join(request, trace, flight)
        if self.store.mode is Mode.REPLAY:
            self._log(request, trace, FailureClass.STORE_MISS)
            raise ServiceError(FailureClass.STORE_MISS, f"{request.kind} {request.key[:16]} is not in the store")
        # A task of its own: when the first caller is cancelled, the others still get their answer.
        task = asyncio.get_running_loop().create_task(self._fetch(request, trace))
        flight = self._flights[request.key] = Flight(task)
        task.add_done_callback(partial(self._land, request.key, flight))
        answer: A = await self._board(request.key, flight)
        return answer

    async def _join(self, request: Request[A], trace: Trace, flight: Flight) -> A:
        self.statistics.joined += 1
        try:
            answer: A = await self._board(request.key, flight)
        except ServiceError as error:
            self._log(request, trace, error.failure, from_store=True)
            raise
        self._log(request, trace, None, from_store=True)
        return answer

    async def _board(self, key: str, flight: Flight) -> Any:
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            if flight.waiting == 1 and not flight.task.done():
                # Nobody waits any more: off the board first, so that nobody joins what is about to be cancelled.
                self._land(key, flight)
                flight.task.cancel()
            raise
        finally:
            flight.waiting -= 1

    def _land(self, key: str, flight: Flight, task: asyncio.Task[Any] | None = None) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if task is not None and not task.cancelled():
            task.exception()  # seen, even where every caller has gone

    def _found(self, request: Request[A], trace: Trace, kept: Kept) -> A:
        self.statistics.from_store += 1
        self._log(request, trace, kept.failure, from_store=True)
        return self._read(request, kept)

    async def _fetch(self, request: Request[A], trace: Trace) -> A:
        """Make the request, or wait for what another process makes of it."""
        kept = await self.store.claim(request.key)
        if kept is not None:
            return self._found(request, trace, kept)
        try:
            return await self._make(request, trace)
        finally:
            self.store.release(request.key)

    async def _make(self, request: Request[A], trace: Trace) -> A:
        """Make the request, retried; keep what came of it, with its event."""
        if request.ready is not None:
            await request.ready()
        tokens, service = (0, 0), (request.kind, request.provider)
        try:
            answer, text = await with_retries(
                partial(self._attempt, request, trace),
                self._retry_of(request),
                self._rng,
                self._sleep,
                "/".join(service),
                partial(self.breaker.passes, *service),
            )
        except ServiceError as error:
            if error.failure.unasked:
                self._log(request, trace, error.failure)
                raise
            self._stop_at(self.breaker.give_up(*service, error))
            if self.breaker.is_setup(*service, error):
                self._log(request, trace, error.failure)
                raise ServiceError(FailureClass.SETUP, error.detail) from None
            kept = Kept(None, error.failure, error.detail)
        else:
            kept = Kept(text)
            tokens = self._tokens(request, answer)
        event = self._event(request, trace, kept.failure, False, tokens)
        if kept.failure is not None:
            _logger.warning("failed detail=%.300r %s", kept.detail, event)
        entry = Entry(
            request.key, request.kind, request.provider, request.purpose, request.text, kept, trace.cost, *tokens
        )
        if self.breaker.doubts(entry):
            self.store.log(self.run, event)
            return self._read(request, kept)
        for bad in (
            self.breaker.answer(request.provider, trace.clock) if kept.failure in (None, FailureClass.REFUSED) else ()
        ):
            await self.store.put(bad, self.run)
        # Another process may have been first with an answer: then all go on with that one.
        try:
            held = await self.store.put(entry, self.run, event)
        except StoreError as error:
            self._stop_at(str(error))  # what cannot be kept would have to be bought again
            raise
        return answer if held is kept and kept.failure is None else self._read(request, held)

    def _stop_at(self, why: str) -> None:
        if why and not self.budget.stopped:
            self.budget.stop(FailureClass.SETUP, why)

    def _retry_of(self, request: Request[Any]) -> Retry:
        if request.kind != "page":
            return self._retry
        return self._retry.model_copy(update={"attempts": min(_PAGE_ATTEMPTS, self._retry.attempts)})

    async def _attempt(self, request: Request[A], trace: Trace) -> tuple[A, str]:
        """One request: the answer and its JSON text."""
        gate = self._gates.get(request.provider)
        if gate is None:
            gate = self._gates[request.provider] = Gate()
        price = self.budget.price(request.provider)
        estimate = price.cost(request.prompt_tokens, request.completion_tokens)
        self.budget.check(estimate)
        async with (
            self.breaker.turn(request.kind, request.provider),
            gate.admit(request.prompt_tokens + request.completion_tokens) as admission,
        ):
            await self.budget.admit(estimate)
            trace.attempts += 1
            self.statistics.calls += 1
            self.statistics.in_flight += 1
            cost = 0.0
            try:
                answer, text = self._checked(request, await self._timed(request))
            except ServiceError as error:
                cost = estimate if error.failure in _MAY_BE_CHARGED else 0.0
                gate.report(admission, error.failure, error.retry_after, tokens=0)
                self._stop_at(self.breaker.refuse(request.kind, request.provider, error))
                raise
            else:
                tokens = self._tokens(request, answer)
                cost = price.cost(*tokens)
                gate.report(admission, tokens=sum(tokens))
            finally:
                trace.cost += cost
                self.statistics.in_flight -= 1
                self.statistics.cost += cost
                self.budget.settle(estimate, cost)
        read, written = self.statistics.tokens.get(request.provider, (0, 0))
        self.statistics.tokens[request.provider] = (read + tokens[0], written + tokens[1])
        return answer, text

    async def _timed(self, request: Request[A]) -> A:
        try:
            async with asyncio.timeout(self._retry.timeout_s) as limit:
                return await request.make()
        except TimeoutError as error:
            if limit.expired():
                raise ServiceError(FailureClass.TIMEOUT, f"no answer within {self._retry.timeout_s:g} s") from error
            raise

    def _checked(self, request: Request[A], answer: A) -> tuple[A, str]:
        """The answer as the store will give it back, so that live and replayed runs see the same."""
        try:
            text = request.form.dump_json(answer)
            return request.form.validate_json(text), text.decode()
        except (ValidationError, PydanticSerializationError) as error:
            detail = str(error).splitlines()[0]
            raise ServiceError(FailureClass.MALFORMED, f"the answer cannot be kept: {detail}") from error

    def _tokens(self, request: Request[A], answer: A) -> tuple[int, int]:
        """Tokens read and written; where a paid reply says nothing of them, estimates."""
        if not isinstance(answer, ChatReply):
            return 0, 0
        read, written = answer.prompt_tokens, answer.completion_tokens
        if self.budget.price(request.provider) == FREE:
            return read, written
        said = len(answer.message.model_dump_json()) // _CHARACTERS_A_TOKEN
        return read or request.prompt_tokens, written or said

    def _read(self, request: Request[A], kept: Kept) -> A:
        if kept.answer is None:
            raise ServiceError(kept.failure or FailureClass.MALFORMED, kept.detail)
        try:
            return request.form.validate_json(kept.answer)
        except ValidationError as error:
            raise StoreError(
                f"{self.store.place}: the answer {request.key} does not fit this engine; restore a copy of the store"
            ) from error

    def _log(self, request: Request[Any], trace: Trace, failure: FailureClass | None, from_store: bool = False) -> None:
        self.store.log(self.run, self._event(request, trace, failure, from_store))

    def _event(
        self,
        request: Request[Any],
        trace: Trace,
        failure: FailureClass | None,
        from_store: bool,
        tokens: tuple[int, int] = (0, 0),
    ) -> Event:
        if failure:
            self.statistics.failures[failure] += 1
        event = Event(
            key=request.key,
            kind=request.kind,
            purpose=request.purpose,
            provider=request.provider,
            started=trace.started,
            latency_s=time.perf_counter() - trace.clock,
            attempts=trace.attempts,
            from_store=from_store,
            prompt_tokens=tokens[0],
            completion_tokens=tokens[1],
            cost=trace.cost,
            failure=failure,
        )
        _logger.debug("call %s", event)
        if self.on_event is not None:
            self.on_event(event)
        return event

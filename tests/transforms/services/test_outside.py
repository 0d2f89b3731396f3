"""The one door: what is asked once, kept, retried, counted and refused."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.schemas import Box, FailureClass, Function, Hit, ImagePart, Message, TextPart, ToolCall
from gog.transforms.services.budget import Budget, BudgetReached
from gog.transforms.services.gate import Gate, Limits
from gog.transforms.services.keys import chat_request, detect_request, request_key, search_request
from gog.transforms.services.loop import process_loop, shared, unshare
from gog.transforms.services.outside import Outside
from gog.transforms.services.prices import Price
from gog.transforms.services.protocols import ChatReply, ChatRequest, Detection, Sampling, ServiceError
from gog.transforms.services.retry import Retry
from gog.transforms.services.store import Mode, Store
from gog.transforms.services.store_file import StoreError

IMAGE = "a" * 64
REPLY = ChatReply(Message(role="assistant", content="<answer>Chad</answer>"), "stop", 100, 10)


def request(text: str = "Whose flag?", **changes: Any) -> ChatRequest:
    message = Message(role="user", content=(ImagePart(image=IMAGE), TextPart(text=text)))
    return ChatRequest(**({"messages": (message,)} | changes))


class Teacher:
    """Answers what it is told to, one outcome a call, the last one for ever."""

    id = "openai:big@2026"

    def __init__(self, *outcomes: Any, latency_s: float = 0.0) -> None:
        self._outcomes, self._latency_s = list(outcomes) or [REPLY], latency_s
        self.calls: list[ChatRequest] = []

    async def complete(self, request: ChatRequest) -> ChatReply:
        self.calls.append(request)
        await asyncio.sleep(self._latency_s)
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, BaseException):
            raise outcome
        assert isinstance(outcome, ChatReply)
        return outcome


class Search:
    """A search, by text or image."""

    def __init__(self, hits: Sequence[Hit], name: str = "serper:en") -> None:
        self.id, self._hits = name, tuple(hits)
        self.calls: list[tuple[str, int]] = []

    async def search(self, query: str, top_k: int) -> tuple[Hit, ...]:
        self.calls.append((query, top_k))
        return self._hits[:top_k]


class ImageSearch:
    """Searches with an image."""

    id = "gallery:grid@1"

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    async def search(self, image_sha256: str, top_k: int) -> tuple[Hit, ...]:
        self.calls.append((image_sha256, top_k))
        return (Hit(rank=1, title="Chad", url="x://chad", score=0.5, thumbnail_sha256=IMAGE),)


class Detector:
    """Finds one box."""

    id = "segments:1"

    def __init__(self, *found: Detection) -> None:
        self._found = found
        self.calls: list[tuple[str, tuple[str, ...]]] = []

    async def detect(self, image_sha256: str, phrases: tuple[str, ...]) -> tuple[Detection, ...]:
        self.calls.append((image_sha256, phrases))
        return self._found


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


def test_what_was_asked_once_is_never_asked_again(tmp_path: Path) -> None:
    search, images, teacher = Search([Hit(rank=1, title="t", url="u")]), ImageSearch(), Teacher()
    detector = Detector(Detection(Box(0.1, 0.2, 0.3, 0.4), "flag", 0.5))

    async def all_kinds(outside: Outside) -> list[object]:
        return [
            await outside.chat(teacher, request(), "episode"),
            await outside.text_search(search, "chad", 3, "episode"),
            await outside.image_search(images, IMAGE, 3, "episode"),
            await outside.detect(detector, IMAGE, ("flag",), "propose"),
        ]

    async def scenario() -> None:
        answers = []
        for mode in (Mode.RECORD, Mode.RECORD, Mode.REPLAY):
            with Store(tmp_path, mode) as store:
                outside = Outside(store)
                answers += [await all_kinds(outside), await all_kinds(outside)]
        assert all(answer == answers[0] for answer in answers)
        assert [type(a) for a in answers[0]] == [type(a) for a in answers[-1]]
        assert [len(s.calls) for s in (teacher, search, images, detector)] == [1, 1, 1, 1]

    play(scenario)


def test_live_asks_every_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher = Teacher()
        with Store(tmp_path, Mode.LIVE) as store:
            outside = Outside(store)
            for _ in range(3):
                await outside.chat(teacher, request(), "episode")
        assert len(teacher.calls) == 3

    play(scenario)


def test_a_miss_in_replay_is_a_failure_and_no_call(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher = Teacher()
        Store(tmp_path).close()
        with Store(tmp_path, Mode.REPLAY) as store:
            outside = Outside(store, run="r")
            with pytest.raises(ServiceError) as caught:
                await outside.chat(teacher, request(), "episode")
            assert caught.value.failure is FailureClass.STORE_MISS
            store.flush()
            assert [e.failure for e in store.events("r")] == [FailureClass.STORE_MISS]
            assert outside.statistics.failures == {FailureClass.STORE_MISS: 1}
        assert teacher.calls == []

    play(scenario)


def test_identical_requests_in_flight_are_made_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher = Teacher(latency_s=0.02)
        for mode in (Mode.RECORD, Mode.LIVE):
            with Store(tmp_path / mode, mode) as store:
                outside = Outside(store, run="r")
                replies = await asyncio.gather(*(outside.chat(teacher, request(), "episode") for _ in range(20)))
                assert replies == [REPLY] * 20
                assert (outside.statistics.calls, outside.statistics.joined) == (1, 19)
                store.flush()
                assert sum(e.attempts for e in store.events("r")) == 1
                assert sum(not e.from_store for e in store.events("r")) == 1
        assert len(teacher.calls) == 2

    play(scenario)


def test_samples_are_different_requests(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher = Teacher()
        with Store(tmp_path) as store:
            outside = Outside(store)
            await asyncio.gather(*(outside.chat(teacher, request(sample_index=n), "episode") for n in range(4)))
        assert len(teacher.calls) == 4

    play(scenario)


def test_a_failure_in_flight_reaches_everybody(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher = Teacher(fails(FailureClass.REFUSED), latency_s=0.01)
        with Store(tmp_path) as store:
            outside = Outside(store)
            results = await asyncio.gather(
                *(outside.chat(teacher, request(), "episode") for _ in range(5)), return_exceptions=True
            )
        assert [r.failure for r in results if isinstance(r, ServiceError)] == [FailureClass.REFUSED] * 5
        assert len(teacher.calls) == 1

    play(scenario)


def test_the_first_caller_may_go_without_the_others_losing_their_answer(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher = Teacher(latency_s=0.05)
        with Store(tmp_path) as store:
            outside = Outside(store)
            callers = [asyncio.create_task(outside.chat(teacher, request(), "episode")) for _ in range(3)]
            await asyncio.sleep(0.01)
            callers[0].cancel()
            results = await asyncio.gather(*callers, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert results[1:] == [REPLY, REPLY]
        assert len(teacher.calls) == 1

    play(scenario)


def test_a_call_that_nobody_waits_for_is_cancelled_and_can_be_made_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher = Teacher(latency_s=0.05)
        with Store(tmp_path) as store:
            outside = Outside(store, gates={teacher.id: Gate(Limits(in_flight=1))})
            callers = [asyncio.create_task(outside.chat(teacher, request(), "episode")) for _ in range(3)]
            await asyncio.sleep(0.01)
            for caller in callers:
                caller.cancel()
            again = asyncio.create_task(outside.chat(teacher, request(), "episode"))
            await asyncio.gather(*callers, return_exceptions=True)
            assert await again == REPLY
            assert outside.statistics.in_flight == 0
        assert len(teacher.calls) == 2

    play(scenario)


@pytest.mark.parametrize("failure", [f for f in FailureClass if f.passing])
def test_passing_failures_are_tried_again_and_asked_anew_by_the_next_run(tmp_path: Path, failure: FailureClass) -> None:
    async def scenario() -> None:
        teacher, naps = Teacher(fails(failure)), Naps()
        with Store(tmp_path) as store:
            outside = Outside(store, run="r", retry=Retry(attempts=4, initial_s=1.0, longest_s=3.0), sleep=naps)
            with pytest.raises(ServiceError) as caught:
                await outside.chat(teacher, request(), "episode")
            assert caught.value.failure is failure
            assert [e.attempts for e in store.events("r")] == [4]
            assert outside.statistics.calls == len(teacher.calls) == 4
            assert len(naps.naps) == 3
            assert all(0.5 * most <= nap <= most for nap, most in zip(naps.naps, (1.0, 2.0, 3.0), strict=True))
            teacher._outcomes = [REPLY]
            assert await outside.chat(teacher, request(), "episode") == REPLY

    play(scenario)


@pytest.mark.parametrize("failure", [f for f in FailureClass if f.permanent])
def test_permanent_failures_are_paid_once(tmp_path: Path, failure: FailureClass) -> None:
    async def scenario() -> None:
        teacher = Teacher(fails(failure))
        for _ in range(2):
            with Store(tmp_path) as store:
                outside = Outside(store)
                for _ in range(2):
                    with pytest.raises(ServiceError, match="as told") as caught:
                        await outside.chat(teacher, request(), "episode")
                    assert caught.value.failure is failure
                assert outside.statistics.failures == {failure: 2}
        assert len(teacher.calls) == 1

    play(scenario)


def test_a_failure_that_neither_passes_nor_lasts_is_not_tried_again_now(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher = Teacher(fails(FailureClass.AUTH))
        with Store(tmp_path) as store:
            outside = Outside(store)
            for _ in range(2):
                with pytest.raises(ServiceError):
                    await outside.chat(teacher, request(), "episode")
        assert len(teacher.calls) == 2

    play(scenario)


def test_a_failure_that_passes_is_forgotten(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher = Teacher(fails(FailureClass.SERVER), fails(FailureClass.MALFORMED), REPLY)
        with Store(tmp_path) as store:
            outside = Outside(store, run="r", sleep=Naps())
            assert await outside.chat(teacher, request(), "episode") == REPLY
            (event,) = store.events("r")
            assert (event.attempts, event.failure, event.from_store) == (3, None, False)
            assert not outside.statistics.failures

    play(scenario)


def test_retry_after_lengthens_the_pause(tmp_path: Path) -> None:
    async def scenario() -> None:
        naps = Naps()
        teacher = Teacher(fails(FailureClass.SERVER, 17.0), REPLY)
        with Store(tmp_path) as store:
            await Outside(store, sleep=naps).chat(teacher, request(), "episode")
        assert len(naps.naps) == 1
        assert 17.0 <= naps.naps[0] <= 18.0

    play(scenario)


@given(st.integers(1, 10_000), st.one_of(st.none(), st.floats()), st.floats(0, 1, exclude_max=True))
def test_pauses_are_bounded(attempt: int, retry_after: float | None, draw: float) -> None:
    retry = Retry()
    pause = retry.pause(attempt, retry_after, draw)
    assert 0 < pause <= retry.longest_s + retry.longest_wait_s
    if retry_after is not None and 0 < retry_after < retry.longest_wait_s:
        assert pause > retry_after


def test_jitter_is_seeded(tmp_path: Path) -> None:
    def naps(seed: int) -> list[float]:
        nap = Naps()

        async def scenario() -> None:
            with Store(tmp_path, Mode.LIVE) as store:
                teacher = Teacher(fails(FailureClass.SERVER), fails(FailureClass.SERVER), REPLY)
                await Outside(store, sleep=nap, seed=seed).chat(teacher, request(), "episode")

        play(scenario)
        return nap.naps

    assert naps(1) == naps(1) != naps(2)


def test_each_attempt_passes_the_gate_on_its_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher, gate = Teacher(fails(FailureClass.SERVER), REPLY), Gate(Limits(in_flight=1))
        held = []

        async def nap(_: float) -> None:
            held.append(gate.in_flight)

        with Store(tmp_path) as store:
            outside = Outside(store, gates={teacher.id: gate}, sleep=nap)
            await outside.chat(teacher, request(), "episode")
        assert held == [0]

    play(scenario)


def test_a_refusal_is_reported_to_the_gate(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher, gate = Teacher(fails(FailureClass.RATE_LIMITED, 0.05), REPLY), Gate()
        with Store(tmp_path) as store:
            began = time.monotonic()
            await Outside(store, gates={teacher.id: gate}, sleep=Naps()).chat(teacher, request(), "episode")
            assert time.monotonic() - began >= 0.05
        assert gate.rate is not None

    play(scenario)


def test_a_call_that_takes_too_long_is_a_timeout(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher = Teacher(latency_s=5.0)
        with Store(tmp_path) as store:
            outside = Outside(store, timeout_s=0.01, retry=Retry(attempts=2, initial_s=0.001))
            with pytest.raises(ServiceError, match="no answer within") as caught:
                await outside.chat(teacher, request(), "episode")
            assert caught.value.failure is FailureClass.TIMEOUT
            assert outside.statistics.in_flight == 0
        assert len(teacher.calls) == 2

    play(scenario)


@pytest.mark.parametrize("bug", [TypeError("a bug"), TimeoutError("not ours"), KeyError("x")])
def test_a_bug_in_a_service_goes_through_as_it_is(tmp_path: Path, bug: Exception) -> None:
    async def scenario() -> None:
        teacher = Teacher(bug, REPLY)
        with Store(tmp_path) as store:
            outside = Outside(store)
            with pytest.raises(type(bug)):
                await outside.chat(teacher, request(), "episode")
            assert len(teacher.calls) == 1
            assert await outside.chat(teacher, request(), "episode") == REPLY

    play(scenario)


def test_an_answer_that_cannot_be_kept_is_malformed(tmp_path: Path) -> None:
    async def scenario() -> None:
        detector = Detector(Detection(Box(0.1, 0.2, 0.3, 0.4), "flag", math.nan))
        with Store(tmp_path) as store:
            with pytest.raises(ServiceError) as caught:
                await Outside(store, sleep=Naps()).detect(detector, IMAGE, (), "propose")
            assert caught.value.failure is FailureClass.MALFORMED

    play(scenario)


def test_a_stored_answer_that_does_not_fit_is_the_stores_trouble(tmp_path: Path) -> None:
    async def scenario() -> None:
        with Store(tmp_path) as store:
            outside = Outside(store)
            await outside.chat(Teacher(), request(), "episode")
            assert store._writer is not None
            store._writer.execute("UPDATE answers SET answer = '{}'")
            with pytest.raises(StoreError, match="does not fit"):
                await outside.chat(Teacher(), request(), "episode")

    play(scenario)


def test_the_budget_stops_calls_and_not_the_store(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher = Teacher()
        with Store(tmp_path) as store:
            outside = Outside(store, run="r", budget=Budget(max_calls=3))
            for n in range(3):
                await outside.chat(teacher, request(sample_index=n), "episode")
            with pytest.raises(BudgetReached):
                await outside.chat(teacher, request(sample_index=3), "episode")
            for n in range(3):
                await outside.chat(teacher, request(sample_index=n), "episode")
            spent = store.spend("r")
        with Store(tmp_path) as store:
            more = Outside(store, run="r", budget=Budget(max_calls=4, spent=spent))
            await more.chat(teacher, request(sample_index=3), "episode")
            with pytest.raises(BudgetReached):
                await more.chat(teacher, request(sample_index=4), "episode")
            store.flush()
            assert store.spend("r").calls == len(teacher.calls) == 4

    play(scenario)


def test_retries_count_against_the_budget(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher = Teacher(fails(FailureClass.SERVER))
        with Store(tmp_path) as store:
            outside = Outside(store, run="r", budget=Budget(max_calls=2), sleep=Naps())
            with pytest.raises(BudgetReached):
                await outside.chat(teacher, request(), "episode")
            store.flush()
            assert store.spend("r").calls == len(teacher.calls) == 2

    play(scenario)


def test_money_is_counted_once_and_survives(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher, search = Teacher(), Search([Hit(rank=1, title="t", url="u")])
        prices = {teacher.id: Price(1000.0, 10_000.0), search.id: Price(per_call=0.001)}
        with Store(tmp_path) as store:
            outside = Outside(store, run="r", budget=Budget(max_cost=100.0, prices=prices))
            for _ in range(3):
                await outside.chat(teacher, request(), "episode")
                await outside.text_search(search, "chad", 3, "episode")
            assert outside.statistics.cost == pytest.approx(0.201)
            assert outside.budget.cost == pytest.approx(0.201)
            assert outside.statistics.tokens[teacher.id] == (100, 10)
        with Store(tmp_path) as store:
            spent = store.spend("r")
            assert spent.cost == pytest.approx(0.201)
            assert (spent.calls, spent.prompt_tokens, spent.completion_tokens) == (2, 100, 10)
            assert sum(e.from_store for e in store.events("r")) == 4

    play(scenario)


def test_events_say_what_happened(tmp_path: Path) -> None:
    async def scenario() -> None:
        with Store(tmp_path) as store:
            outside = Outside(store, run="r")
            await outside.text_search(Search([]), "chad", 3, "verify")
            await outside.text_search(Search([]), "chad", 3, "episode")
            store.flush()
            bought, found = store.events("r")
        assert (bought.kind, bought.purpose, bought.provider) == ("text_search", "verify", "serper:en")
        assert (bought.attempts, bought.from_store, found.attempts, found.from_store) == (1, False, 0, True)
        assert bought.key == found.key == request_key(search_request("text_search", "serper:en", "chad", 3))
        assert abs(bought.started - time.time()) < 60

    play(scenario)


def test_text_that_is_not_unicode_is_a_bad_request(tmp_path: Path) -> None:
    async def scenario() -> None:
        search = Search([])
        with Store(tmp_path) as store:
            with pytest.raises(ServiceError) as caught:
                await Outside(store).text_search(search, "\ud800", 3, "episode")
            assert caught.value.failure is FailureClass.BAD_REQUEST
        assert search.calls == []

    play(scenario)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def reverse(value: Any) -> Any:
    """The same value with the keys of its objects in another order."""
    if isinstance(value, dict):
        return {key: reverse(value[key]) for key in reversed(value)}
    return [reverse(item) for item in value] if isinstance(value, list) else value


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=4), json_values)
def test_the_order_of_keys_makes_no_other_request(tool: dict[str, Any], schema: Any) -> None:
    one = request(tools=(tool,), response_schema={"x": schema})
    other = request(tools=(reverse(tool),), response_schema={"x": reverse(schema)})
    assert chat_request("p", one) == chat_request("p", other)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
chat_requests = st.builds(
    ChatRequest,
    messages=st.lists(
        st.builds(
            Message,
            role=st.sampled_from(["user", "assistant", "tool"]),
            content=st.one_of(
                texts,
                st.lists(st.builds(TextPart, text=texts), max_size=2).map(tuple),
                st.just((ImagePart(image=IMAGE),)),
            ),
            reasoning_content=st.one_of(st.none(), texts),
            tool_calls=st.lists(
                st.builds(ToolCall, id=texts, function=st.builds(Function, name=texts, arguments=texts)), max_size=2
            ).map(tuple),
        ),
        max_size=3,
    ).map(tuple),
    sampling=st.builds(Sampling, st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.9, 1.0]), st.integers(1, 3)),
    sample_index=st.integers(0, 3),
    prompt_hash=texts,
)


@given(chat_requests, chat_requests, texts, texts)
def test_keys_are_the_same_only_for_the_same_request(a: ChatRequest, b: ChatRequest, p: str, q: str) -> None:
    same = (a, p) == (b, q)
    assert (request_key(chat_request(p, a)) == request_key(chat_request(q, b))) == same


@given(chat_requests, st.sets(st.integers(0, 10**6), min_size=2, max_size=20))
def test_no_two_samples_share_a_key(call: ChatRequest, indices: set[int]) -> None:
    keys = {
        chat_request("p", ChatRequest(call.messages, call.tools, call.sampling, index, call.prompt_hash))
        for index in indices
    }
    assert len(keys) == len(indices)


def test_kinds_and_providers_never_collide() -> None:
    requests = [
        search_request("text_search", "a", IMAGE, 3),
        search_request("image_search", "a", IMAGE, 3),
        search_request("image_search", "b", IMAGE, 3),
        search_request("image_search", "a", IMAGE, 4),
        detect_request("a", IMAGE, ()),
        detect_request("a", IMAGE, ("x", "y")),
        detect_request("a", IMAGE, ("x,y",)),
        detect_request("a", IMAGE, ("y", "x")),
    ]
    assert len({request_key(r) for r in requests}) == len(requests)


def test_a_temperature_is_the_same_as_integer_and_as_float() -> None:
    assert chat_request("p", request(sampling=Sampling(1, 1, 5))) == chat_request(
        "p", request(sampling=Sampling(1.0, 1.0, 5))
    )


def test_a_process_has_one_loop_and_shares_what_is_made_once() -> None:
    async def where() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    loop = process_loop()
    assert loop is process_loop()
    assert asyncio.run_coroutine_threadsafe(where(), loop).result(10) is loop
    key = ("test", object())
    assert shared(key, lambda: shared((key, "inner"), lambda: "one")) == shared(key, lambda: "two") == "one"
    assert unshare((key, "inner")) == "one"
    assert unshare(key) == "one"
    assert unshare(key) is None

"""The one door: what is asked once, kept, retried, counted and refused."""

import asyncio
import math
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from scripted_teacher import IMAGE, REPLY, Naps, Teacher, fails, play, request

from gog.schemas import Box, FailureClass, Hit
from gog.transforms.services.gateway.budget import Budget, BudgetReached
from gog.transforms.services.gateway.gate import Gate, Limits
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.gateway.prices import Price
from gog.transforms.services.gateway.retry import Retry
from gog.transforms.services.protocols import Detection, Page, ServiceError
from gog.transforms.services.store.keys import request_key, search_request
from gog.transforms.services.store.records import Mode
from gog.transforms.services.store.schema import StoreError
from gog.transforms.services.store.sqlite import Store


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


class Reader:
    """Reads any page."""

    id = "local:1"

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def read(self, url: str) -> Page:
        self.calls.append(url)
        return Page(url, "Its text.")


def test_what_was_asked_once_is_never_asked_again(tmp_path: Path) -> None:
    search, images, teacher = Search([Hit(rank=1, title="t", url="u")]), ImageSearch(), Teacher()
    detector = Detector(Detection(Box(0.1, 0.2, 0.3, 0.4), "flag", 0.5))

    async def all_kinds(gateway: Gateway) -> list[object]:
        return [
            await gateway.chat(teacher, request(), "episode"),
            await gateway.text_search(search, "chad", 3, "episode"),
            await gateway.image_search(images, IMAGE, 3, "episode"),
            await gateway.detect(detector, IMAGE, ("flag",), "propose"),
        ]

    async def scenario() -> None:
        answers = []
        for mode in (Mode.RECORD, Mode.RECORD, Mode.REPLAY):
            with Store(tmp_path, mode) as store:
                gateway = Gateway(store)
                answers += [await all_kinds(gateway), await all_kinds(gateway)]
        assert all(answer == answers[0] for answer in answers)
        assert [type(a) for a in answers[0]] == [type(a) for a in answers[-1]]
        assert [len(s.calls) for s in (teacher, search, images, detector)] == [1, 1, 1, 1]

    play(scenario)


def test_how_calls_are_made_is_no_part_of_what_was_asked(tmp_path: Path) -> None:
    """A longer timeout, another run or budget buys nothing again."""
    search, images, teacher = Search([Hit(rank=1, title="t", url="u")]), ImageSearch(), Teacher()
    detector, reader = Detector(Detection(Box(0.1, 0.2, 0.3, 0.4), "flag", 0.5)), Reader()
    patient = Retry(attempts=2, initial_s=0.1, longest_s=1.0, timeout_s=900.0, patience_s=5.0)

    async def scenario() -> None:
        with Store(tmp_path) as store:
            for gateway in (
                Gateway(store),
                Gateway(store, retry=patient),
                Gateway(store, run="other", seed=7, budget=Budget(max_calls=0)),
                Gateway(store, gates={teacher.id: Gate(Limits(in_flight=1))}),
            ):
                for purpose in ("episode", "propose"):
                    await gateway.chat(teacher, request(), purpose)
                    await gateway.text_search(search, "chad", 3, purpose)
                    await gateway.image_search(images, IMAGE, 3, purpose)
                    await gateway.detect(detector, IMAGE, ("flag",), purpose)
                    await gateway.read_page(reader, "https://one.example/", purpose)
        assert [len(s.calls) for s in (teacher, search, images, detector, reader)] == [1, 1, 1, 1, 1]

    play(scenario)


def test_live_asks_every_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher = Teacher()
        with Store(tmp_path, Mode.LIVE) as store:
            gateway = Gateway(store)
            for _ in range(3):
                await gateway.chat(teacher, request(), "episode")
        assert len(teacher.calls) == 3

    play(scenario)


def test_a_miss_in_replay_is_a_failure_and_no_call(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher = Teacher()
        Store(tmp_path).close()
        with Store(tmp_path, Mode.REPLAY) as store:
            gateway = Gateway(store, run="r")
            with pytest.raises(ServiceError) as caught:
                await gateway.chat(teacher, request(), "episode")
            assert caught.value.failure is FailureClass.STORE_MISS
            store.flush()
            assert [e.failure for e in store.events("r")] == [FailureClass.STORE_MISS]
            assert gateway.statistics.failures == {FailureClass.STORE_MISS: 1}
        assert teacher.calls == []

    play(scenario)


def test_identical_requests_in_flight_are_made_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher = Teacher(latency_s=0.02)
        for mode in (Mode.RECORD, Mode.LIVE):
            with Store(tmp_path / mode, mode) as store:
                gateway = Gateway(store, run="r")
                replies = await asyncio.gather(*(gateway.chat(teacher, request(), "episode") for _ in range(20)))
                assert replies == [REPLY] * 20
                assert (gateway.statistics.calls, gateway.statistics.joined) == (1, 19)
                store.flush()
                assert sum(e.attempts for e in store.events("r")) == 1
                assert sum(not e.from_store for e in store.events("r")) == 1
        assert len(teacher.calls) == 2

    play(scenario)


def test_samples_are_different_requests(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher = Teacher()
        with Store(tmp_path) as store:
            gateway = Gateway(store)
            await asyncio.gather(*(gateway.chat(teacher, request(sample_index=n), "episode") for n in range(4)))
        assert len(teacher.calls) == 4

    play(scenario)


def test_a_failure_in_flight_reaches_everybody(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher = Teacher(fails(FailureClass.REFUSED), latency_s=0.01)
        with Store(tmp_path) as store:
            gateway = Gateway(store)
            results = await asyncio.gather(
                *(gateway.chat(teacher, request(), "episode") for _ in range(5)), return_exceptions=True
            )
        assert [r.failure for r in results if isinstance(r, ServiceError)] == [FailureClass.REFUSED] * 5
        assert len(teacher.calls) == 1

    play(scenario)


def test_the_first_caller_may_go_without_the_others_losing_their_answer(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher = Teacher(latency_s=0.05)
        with Store(tmp_path) as store:
            gateway = Gateway(store)
            callers = [asyncio.create_task(gateway.chat(teacher, request(), "episode")) for _ in range(3)]
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
            gateway = Gateway(store, gates={teacher.id: Gate(Limits(in_flight=1))})
            callers = [asyncio.create_task(gateway.chat(teacher, request(), "episode")) for _ in range(3)]
            await asyncio.sleep(0.01)
            for caller in callers:
                caller.cancel()
            again = asyncio.create_task(gateway.chat(teacher, request(), "episode"))
            await asyncio.gather(*callers, return_exceptions=True)
            assert await again == REPLY
            assert gateway.statistics.in_flight == 0
        assert len(teacher.calls) == 2

    play(scenario)


def test_each_attempt_passes_the_gate_on_its_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher, gate = Teacher(fails(FailureClass.SERVER), REPLY), Gate(Limits(in_flight=1))
        held = []

        async def nap(_: float) -> None:
            held.append(gate.in_flight)

        with Store(tmp_path) as store:
            gateway = Gateway(store, gates={teacher.id: gate}, sleep=nap)
            await gateway.chat(teacher, request(), "episode")
        assert held == [0]

    play(scenario)


def test_a_refusal_is_reported_to_the_gate(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher, gate = Teacher(fails(FailureClass.RATE_LIMITED, 0.05), REPLY), Gate()
        with Store(tmp_path) as store:
            began = time.monotonic()
            await Gateway(store, gates={teacher.id: gate}, sleep=Naps()).chat(teacher, request(), "episode")
            assert time.monotonic() - began >= 0.05

    play(scenario)


def test_a_call_that_takes_too_long_is_a_timeout(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher = Teacher(latency_s=5.0)
        with Store(tmp_path) as store:
            gateway = Gateway(store, retry=Retry(attempts=2, initial_s=0.001, timeout_s=0.01))
            with pytest.raises(ServiceError, match="no answer within") as caught:
                await gateway.chat(teacher, request(), "episode")
            assert caught.value.failure is FailureClass.TIMEOUT
            assert gateway.statistics.in_flight == 0
        assert len(teacher.calls) == 2

    play(scenario)


@pytest.mark.parametrize("bug", [TypeError("a bug"), TimeoutError("not ours"), KeyError("x")])
def test_a_bug_in_a_service_goes_through_as_it_is(tmp_path: Path, bug: Exception) -> None:
    async def scenario() -> None:
        teacher = Teacher(bug, REPLY)
        with Store(tmp_path) as store:
            gateway = Gateway(store)
            with pytest.raises(type(bug)):
                await gateway.chat(teacher, request(), "episode")
            assert len(teacher.calls) == 1
            assert await gateway.chat(teacher, request(), "episode") == REPLY

    play(scenario)


def test_an_answer_that_cannot_be_kept_is_malformed(tmp_path: Path) -> None:
    async def scenario() -> None:
        detector = Detector(Detection(Box(0.1, 0.2, 0.3, 0.4), "flag", math.nan))
        with Store(tmp_path) as store:
            with pytest.raises(ServiceError) as caught:
                await Gateway(store, sleep=Naps()).detect(detector, IMAGE, (), "propose")
            assert caught.value.failure is FailureClass.MALFORMED

    play(scenario)


def test_a_stored_answer_that_does_not_fit_is_the_stores_trouble(tmp_path: Path) -> None:
    async def scenario() -> None:
        with Store(tmp_path) as store:
            gateway = Gateway(store)
            await gateway.chat(Teacher(), request(), "episode")
            assert store._writer is not None
            store._writer.execute("UPDATE answers SET answer = '{}'")
            with pytest.raises(StoreError, match="does not fit"):
                await gateway.chat(Teacher(), request(), "episode")

    play(scenario)


def test_once_an_answer_cannot_be_kept_no_other_is_bought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object) -> None:
        raise StoreError("the disk is full")

    async def scenario() -> None:
        teacher = Teacher()
        with Store(tmp_path) as store:
            gateway = Gateway(store)
            await gateway.chat(teacher, request("kept"), "episode")
            with monkeypatch.context() as patch:
                patch.setattr(store, "put", full)
                with pytest.raises(StoreError, match="full"):
                    await gateway.chat(teacher, request("first"), "episode")
            with pytest.raises(ServiceError, match="full") as refused:
                await gateway.chat(teacher, request("second"), "episode")
            assert refused.value.failure is FailureClass.SETUP
            assert len(teacher.calls) == 2
            await gateway.chat(teacher, request("kept"), "episode")
            gateway.budget.go_on()
            await gateway.chat(teacher, request("second"), "episode")
            assert len(teacher.calls) == 3

    play(scenario)


def test_the_budget_stops_calls_and_not_the_store(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher = Teacher()
        with Store(tmp_path) as store:
            gateway = Gateway(store, run="r", budget=Budget(max_calls=3))
            for n in range(3):
                await gateway.chat(teacher, request(sample_index=n), "episode")
            with pytest.raises(BudgetReached):
                await gateway.chat(teacher, request(sample_index=3), "episode")
            for n in range(3):
                await gateway.chat(teacher, request(sample_index=n), "episode")
            spent = store.spend("r")
        with Store(tmp_path) as store:
            more = Gateway(store, run="r", budget=Budget(max_calls=4, spent=spent))
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
            gateway = Gateway(store, run="r", budget=Budget(max_calls=2), sleep=Naps())
            with pytest.raises(BudgetReached):
                await gateway.chat(teacher, request(), "episode")
            store.flush()
            assert store.spend("r").calls == len(teacher.calls) == 2

    play(scenario)


def test_money_is_counted_once_and_survives(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher, search = Teacher(), Search([Hit(rank=1, title="t", url="u")])
        tokens = Price(prompt_per_million=1000.0, completion_per_million=10_000.0)
        prices = {teacher.id: tokens, search.id: Price(per_call=0.001)}
        with Store(tmp_path) as store:
            gateway = Gateway(store, run="r", budget=Budget(max_cost=100.0, prices=prices))
            for _ in range(3):
                await gateway.chat(teacher, request(), "episode")
                await gateway.text_search(search, "chad", 3, "episode")
            assert gateway.statistics.cost == pytest.approx(0.201)
            assert gateway.budget.cost == pytest.approx(0.201)
            assert gateway.statistics.tokens[teacher.id] == (100, 10)
        with Store(tmp_path) as store:
            spent = store.spend("r")
            assert spent.cost == pytest.approx(0.201)
            assert (spent.calls, spent.prompt_tokens, spent.completion_tokens) == (2, 100, 10)
            assert sum(e.from_store for e in store.events("r")) == 4

    play(scenario)


def test_events_say_what_happened(tmp_path: Path) -> None:
    async def scenario() -> None:
        with Store(tmp_path) as store:
            gateway = Gateway(store, run="r")
            await gateway.text_search(Search([]), "chad", 3, "verify")
            await gateway.text_search(Search([]), "chad", 3, "episode")
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
                await Gateway(store).text_search(search, "\ud800", 3, "episode")
            assert caught.value.failure is FailureClass.BAD_REQUEST
        assert search.calls == []

    play(scenario)

"""Work that is done some at a time: everybody gets their own answer, in order, and nobody waits for ever."""

import asyncio
import threading

import pytest

from gog.transforms.services.store.batches import MOST, Again, Batches
from gog.transforms.services.store.schema import StoreError


def test_what_comes_meanwhile_goes_together() -> None:
    seen: list[int] = []
    begun, go = threading.Event(), threading.Event()

    def work(items: list[int]) -> list[int]:
        begun.set()
        go.wait(20)
        seen.append(len(items))
        return [2 * item for item in items]

    batches = Batches[int, int]("test", work)

    async def ask() -> list[int]:
        first = asyncio.create_task(batches.ask(0))
        await asyncio.to_thread(begun.wait, 20)
        others = [asyncio.create_task(batches.ask(number)) for number in range(1, MOST + 10)]
        await asyncio.sleep(0.05)
        go.set()
        return [await task for task in (first, *others)]

    assert asyncio.run(asyncio.wait_for(ask(), 30)) == [2 * number for number in range(MOST + 10)]
    assert seen == [1, MOST, 9]
    batches.close()


def test_an_item_without_an_answer_comes_again_before_later_ones() -> None:
    worked: list[list[str]] = []

    def work(items: list[str]) -> list[str | Again]:
        worked.append(list(items))
        return [Again(0.01) if item == "slow" and len(worked) < 4 else item for item in items]

    batches = Batches[str, str]("test", work)

    async def ask() -> None:
        slow = asyncio.create_task(batches.ask("slow"))
        await asyncio.sleep(0)
        assert await batches.ask("quick") == "quick"
        assert await slow == "slow"

    asyncio.run(asyncio.wait_for(ask(), 30))
    assert all(items[0] == "slow" for items in worked)
    batches.close()


def test_an_answer_that_nobody_waits_for_any_more_is_undone() -> None:
    go, undone = threading.Event(), list[tuple[int, int]]()

    def work(items: list[int]) -> list[int]:
        go.wait(20)
        return [item + 1 for item in items]

    batches = Batches[int, int]("test", work, undo=lambda item, answer: undone.append((item, answer)))

    async def ask() -> None:
        task = asyncio.create_task(batches.ask(1))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()
        assert await batches.ask(5) == 6
        await asyncio.sleep(0.05)

    asyncio.run(asyncio.wait_for(ask(), 30))
    assert undone == [(1, 2)]
    batches.close()


def test_what_fails_is_told_to_those_who_asked() -> None:
    def work(items: list[int]) -> list[int]:
        raise ValueError(f"{len(items)} at once")

    batches = Batches[int, int]("test", work)
    with pytest.raises(ValueError, match="1 at once"):
        asyncio.run(asyncio.wait_for(batches.ask(1), 30))
    batches.post(1)
    batches.flush()
    assert isinstance(batches.trouble, StoreError)
    batches.close()


def test_who_waits_when_it_is_closed_is_told() -> None:
    batches = Batches[int, int]("test", lambda items: [Again(60.0)] * len(items))

    async def ask() -> None:
        task = asyncio.create_task(batches.ask(1))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(batches.close)
        with pytest.raises(StoreError, match="the store is closed"):
            await task
        with pytest.raises(StoreError, match="the store is closed"):
            await batches.ask(2)

    asyncio.run(asyncio.wait_for(ask(), 30))

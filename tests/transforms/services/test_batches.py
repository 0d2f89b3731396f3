"""Calls go together while the model is busy, one group at a time, and each gets its own answer."""

import asyncio
import threading
from collections.abc import Hashable, Sequence

import pytest

from gog.transforms.services.batches import Batches


def test_what_waits_goes_together_by_group_and_size() -> None:
    seen: list[tuple[Hashable, list[int]]] = []
    busy = threading.Event()

    def work(group: Hashable, inputs: Sequence[int]) -> list[int | Exception]:
        seen.append((group, list(inputs)))
        busy.wait(10)
        return [10 * one for one in inputs]

    async def go() -> list[int]:
        batches: Batches[int, int] = Batches(work, 3)
        calls = [asyncio.ensure_future(batches("a" if i % 4 else "b", i)) for i in range(9)]
        await asyncio.sleep(0.05)
        busy.set()
        return await asyncio.gather(*calls)

    assert asyncio.run(go()) == [10 * i for i in range(9)]
    assert {one for _, inputs in seen for one in inputs} == set(range(9))
    assert all(len(inputs) <= 3 and len({one % 4 == 0 for one in inputs}) == 1 for _, inputs in seen)
    assert len(seen) <= 4


def test_a_failure_is_its_callers_own() -> None:
    def work(group: Hashable, inputs: Sequence[int]) -> list[int | Exception]:
        return [ValueError(one) if one == 1 else one for one in inputs]

    async def go() -> list[int | BaseException]:
        batches: Batches[int, int] = Batches(work, 8)
        return await asyncio.gather(*(batches(None, i) for i in range(3)), return_exceptions=True)

    first, second, third = asyncio.run(go())
    assert (first, third) == (0, 2)
    assert isinstance(second, ValueError)


def test_a_model_that_breaks_breaks_one_batch() -> None:
    broken = [True]

    def work(group: Hashable, inputs: Sequence[int]) -> list[int | Exception]:
        if broken.pop() if broken else False:
            raise RuntimeError("out of memory")
        return list(inputs)

    async def go() -> int:
        batches: Batches[int, int] = Batches(work, 8)
        with pytest.raises(RuntimeError):
            await batches(None, 1)
        return await batches(None, 2)

    assert asyncio.run(go()) == 2


def test_a_caller_that_left_is_not_worked_for() -> None:
    seen: list[int] = []
    busy = threading.Event()

    def work(group: Hashable, inputs: Sequence[int]) -> list[int | Exception]:
        seen.extend(inputs)
        busy.wait(10)
        return list(inputs)

    async def go() -> None:
        batches: Batches[int, int] = Batches(work, 1)
        calls = [asyncio.ensure_future(batches(None, i)) for i in range(3)]
        await asyncio.sleep(0.05)
        calls[1].cancel()
        busy.set()
        await asyncio.gather(*calls, return_exceptions=True)

    asyncio.run(go())
    assert seen == [0, 2]

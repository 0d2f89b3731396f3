"""The process's event loop, and what the process shares on it."""

import asyncio

from gog.transforms.services.loop import process_loop, shared, unshare


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

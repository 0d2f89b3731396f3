"""Claims of a machine: an equal request of several processes is made once, and a process that ends has none."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from storing import entry, put

from gog.transforms.services.store.claims import Claims
from gog.transforms.services.store.records import Mode
from gog.transforms.services.store.sqlite import Store

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="locks of an open file are Linux's")
KEY = "ab" * 32
CHILD = f"""
import asyncio, sys, time
from pathlib import Path
from gog.transforms.services.store.sqlite import Store
store = Store(Path(sys.argv[1]))
assert asyncio.run(store.claim({KEY!r})) is None
print("claimed", flush=True)
time.sleep(60)
"""


def test_one_at_a_time_has_a_request(tmp_path: Path) -> None:
    one, other = Claims(tmp_path), Claims(tmp_path)
    assert one.take(KEY)
    assert not one.take(KEY)
    assert not other.take(KEY)
    assert other.take("cd" * 32)
    one.give_up(KEY)
    assert other.take(KEY)
    other.close()
    assert one.take(KEY)
    one.close()


def test_what_another_store_answers_meanwhile_is_taken_from_there(tmp_path: Path) -> None:
    wanted = entry('{"q":1}')

    async def ask(one: Store, other: Store) -> None:
        assert await one.claim(wanted.key) is None
        waits = asyncio.create_task(other.claim(wanted.key))
        await asyncio.sleep(0.2)
        assert not waits.done()
        await one.put(wanted)
        one.release(wanted.key)
        assert await asyncio.wait_for(waits, 10) == wanted.kept
        assert await one.claim(wanted.key) == wanted.kept  # and the other holds no claim on it

    with Store(tmp_path) as one, Store(tmp_path) as other:
        asyncio.run(ask(one, other))


def test_a_killed_process_has_no_claims(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE)
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"claimed\n"

            async def waits() -> None:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(store.claim(KEY), 0.3)
                child.send_signal(signal.SIGKILL)
                child.wait(20)
                assert await asyncio.wait_for(store.claim(KEY), 10) is None

            asyncio.run(waits())
        finally:
            child.kill()
            child.communicate(timeout=20)


@pytest.mark.parametrize("mode", [Mode.LIVE, Mode.REPLAY])
def test_only_a_store_that_keeps_claims(tmp_path: Path, mode: Mode) -> None:
    with Store(tmp_path) as store:
        put(store, entry('{"q":1}'))
        with Store(tmp_path, mode) as other:
            assert asyncio.run(store.claim(KEY)) is None
            assert asyncio.run(other.claim(KEY)) is None

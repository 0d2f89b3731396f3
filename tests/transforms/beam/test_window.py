"""The sliding window in real pipelines: nothing lost, never too many in flight, no stalls, errors that name."""

import asyncio
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.pvalue import TaggedOutput
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import FixedWindows, TimestampedValue
from apache_beam.utils.windowed_value import WindowedValue
from hypothesis import given, settings
from hypothesis import strategies as st

from gog.transforms.beam.window import CallFailed, TornDown, WindowedAsync
from gog.transforms.services.loop import shared, unshare

Function = Callable[[Any], Awaitable[list[Any]]]


class Seen:
    """What a function saw; shared by name, as a DoFn is copied on its way to the runner."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.cancelled = 0
        self.done: list[Any] = []


def slow(name: str, latency_s: float, element: Any) -> Awaitable[list[Any]]:
    return _slow(shared(name, Seen), latency_s, element)


async def _slow(seen: Seen, latency_s: float, element: Any) -> list[Any]:
    seen.now += 1
    seen.most = max(seen.most, seen.now)
    try:
        await asyncio.sleep(latency_s)
    except asyncio.CancelledError:
        seen.cancelled += 1
        raise
    finally:
        seen.now -= 1
    seen.done.append(element)
    return [element]


def make_slow(name: str, latency_s: float) -> Function:
    return partial(slow, name, latency_s)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> Any:
    name = request.node.nodeid
    shared(name, Seen)
    yield name
    unshare(name)


def pipeline() -> Any:
    return beam.Pipeline(runner="FnApiRunner")


async def three_ways(element: int) -> list[Any]:
    await asyncio.sleep(0.001 * (element % 3))
    if element % 5 == 0:
        return []
    if element % 5 == 1:
        return [TaggedOutput("reject", f"no {element}")]
    return [element, -element]


def make_three_ways() -> Function:
    return three_ways


@pytest.mark.parametrize("window", [1, 7, 1000])
def test_every_output_arrives_on_its_tag(window: int) -> None:
    with pipeline() as p:
        out = (
            p
            | beam.Create(range(100))
            | beam.ParDo(WindowedAsync(make_three_ways, window)).with_outputs("reject", main="ok")
        )
        expected = [sign * n for n in range(100) if n % 5 > 1 for sign in (1, -1)]
        assert_that(out.ok, equal_to(expected), "ok")
        assert_that(out.reject, equal_to([f"no {n}" for n in range(1, 100, 5)]), "reject")


def make_gathering(name: str, window: int) -> Function:
    """The first calls stay until a whole window of them is there."""
    seen, full = shared(name, Seen), asyncio.Event()

    async def gathering(element: int) -> list[int]:
        seen.now += 1
        seen.most = max(seen.most, seen.now)
        if seen.now == window:
            full.set()
        await asyncio.wait_for(full.wait(), 30)
        await asyncio.sleep(0.005)
        seen.now -= 1
        seen.done.append(element)
        return []

    return gathering


@pytest.mark.parametrize("window", [1, 16])
def test_the_window_is_filled_and_never_passed(name: str, window: int) -> None:
    with pipeline() as p:
        p | beam.Create(range(60)) | beam.ParDo(WindowedAsync(partial(make_gathering, name, window), window))
    seen = shared(name, Seen)
    assert sorted(seen.done) == list(range(60))
    assert seen.most == window


def window_of(element: Any, timestamp: Any = beam.DoFn.TimestampParam, window: Any = beam.DoFn.WindowParam) -> Any:
    yield element, int(timestamp), int(window.start)


def make_tagging() -> Function:
    async def tagging(element: int) -> list[Any]:
        await asyncio.sleep(0.01 if element % 2 else 0)
        return [element, TaggedOutput("other", element)]

    return tagging


@pytest.mark.parametrize("window", [2, 1000])
def test_outputs_keep_time_and_window_of_their_own_element(window: int) -> None:
    with pipeline() as p:
        out = (
            p
            | beam.Create(range(40))
            | beam.Map(lambda n: TimestampedValue(n, n))
            | beam.WindowInto(FixedWindows(10))
            | beam.ParDo(WindowedAsync(make_tagging, window)).with_outputs("other", main="main")
        )
        expected = [(n, n, n // 10 * 10) for n in range(40)]
        for tag in ("main", "other"):
            seen = (
                out[tag]
                | f"window {tag}" >> beam.ParDo(window_of)
                | f"global {tag}" >> beam.WindowInto(beam.window.GlobalWindows())
            )
            assert_that(seen, equal_to(expected), tag)


def make_tail(slow_s: float) -> Function:
    async def tail(element: int) -> list[int]:
        await asyncio.sleep(slow_s if element % 20 == 0 else 0.001)
        return [element]

    return tail


def make_outlasting(name: str, others: int) -> Function:
    """The first call stays until so many others are done."""
    seen, done = shared(name, Seen), asyncio.Event()

    async def outlasting(element: int) -> list[int]:
        if element == 0:
            await asyncio.wait_for(done.wait(), 30)
        seen.done.append(element)
        if len(seen.done) == others:
            done.set()
        return [element]

    return outlasting


def test_a_slow_call_holds_back_nothing_but_itself(name: str) -> None:
    with pipeline() as p:
        out = p | beam.Create(range(200)) | beam.ParDo(WindowedAsync(partial(make_outlasting, name, 199), 20))
        assert_that(out, equal_to(range(200)))
    assert shared(name, Seen).done[-1] == 0


@pytest.mark.parametrize(("first", "second"), [(0.2, 0.0), (0.0, 0.2), (0.2, 0.2)])
def test_chained_windows_do_not_block_each_other_for_ever(first: float, second: float) -> None:
    with pipeline() as p:
        out = (
            p
            | beam.Create(range(100))
            | "first" >> beam.ParDo(WindowedAsync(partial(make_tail, first), 8))
            | "second" >> beam.ParDo(WindowedAsync(partial(make_tail, second), 3))
            | "third" >> beam.ParDo(WindowedAsync(partial(make_tail, second), 1))
        )
        assert_that(out, equal_to(range(100)))


def make_failing(bad: int) -> Function:
    async def failing(element: str) -> list[str]:
        await asyncio.sleep(0.001)
        if element == f"seed-{bad}":
            raise KeyError("what went wrong")
        return [element]

    return failing


@pytest.mark.parametrize("bad", [0, 50, 99])
def test_an_exception_fails_the_pipeline_and_names_its_element(bad: int) -> None:
    with pytest.raises(Exception, match=f"what went wrong.*seed-{bad}'") as caught, pipeline() as p:
        p | beam.Create([f"seed-{n}" for n in range(100)]) | beam.ParDo(WindowedAsync(partial(make_failing, bad), 8))
    assert "CallFailed" in repr(caught.value) or isinstance(caught.value, CallFailed)


def make_half_failing(name: str) -> Function:
    seen = shared(name, Seen)

    async def half(element: int) -> list[int]:
        if element == 3:
            await asyncio.sleep(0.05)
            raise ValueError("bad")
        return await _slow(seen, 30.0, element)

    return half


def test_a_failure_cancels_what_is_in_flight(name: str) -> None:
    with pytest.raises(Exception, match="bad"), pipeline() as p:
        p | beam.Create(range(10)) | beam.ParDo(WindowedAsync(partial(make_half_failing, name), 8))
    seen = shared(name, Seen)
    deadline = time.monotonic() + 10
    while seen.now and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (seen.now, seen.done) == (0, [])
    assert seen.cancelled >= 5


def make_ending() -> Function:
    async def ending(element: int) -> list[int]:
        raise SystemExit(3) if element == 2 else asyncio.CancelledError

    return ending


def test_even_what_ends_a_task_ends_the_wait() -> None:
    with pytest.raises(Exception, match=r"CancelledError|SystemExit"), pipeline() as p:
        p | beam.Create(range(10)) | beam.ParDo(WindowedAsync(make_ending, 2))


def drive(dofn: WindowedAsync, elements: list[int], bundles: int) -> list[Any]:
    """Call the DoFn as a runner with several bundles an instance does."""
    place = (beam.utils.timestamp.Timestamp(0), beam.window.GlobalWindow(), None)
    out: list[Any] = []
    dofn.setup()
    for bundle in range(bundles):
        dofn.start_bundle()
        for element in elements[bundle::bundles]:
            out += dofn.process(element, *place)
        out += dofn.finish_bundle()
    dofn.teardown()
    return out


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=60), st.integers(1, 80), st.integers(1, 4))
def test_nothing_is_lost_or_doubled(elements: list[int], window: int, bundles: int) -> None:
    out = drive(WindowedAsync(partial(make_tail, 0.003), window), elements, bundles)
    assert all(isinstance(o, WindowedValue) for o in out)
    assert sorted(o.value for o in out) == sorted(elements)


def test_teardown_and_an_abandoned_bundle_cancel_what_is_in_flight(name: str) -> None:
    dofn = WindowedAsync(partial(make_slow, name, 30.0), 8)
    place = (beam.utils.timestamp.Timestamp(0), beam.window.GlobalWindow(), None)
    seen = shared(name, Seen)
    dofn.setup()
    for end in (dofn.start_bundle, dofn.teardown):
        dofn.start_bundle()
        for element in range(5):
            assert dofn.process(element, *place) == []
        while seen.now < 5:
            time.sleep(0.005)
        end()
        while seen.now:
            time.sleep(0.005)
    assert seen.cancelled == 10


@pytest.mark.parametrize("step", ["process", "finish_bundle"])
def test_what_the_runner_tears_down_at_work_says_so(name: str, step: str, caplog: pytest.LogCaptureFixture) -> None:
    dofn = WindowedAsync(partial(make_slow, name, 30.0), 2)
    place = (beam.utils.timestamp.Timestamp(0), beam.window.GlobalWindow(), None)
    seen = shared(name, Seen)
    dofn.setup()
    dofn.start_bundle()
    for element in range(2):
        dofn.process(element, *place)
    while seen.now < 2:
        time.sleep(0.005)
    threading.Timer(0.05, dofn.teardown).start()
    with pytest.raises(TornDown, match="the runner ended") as raised:
        dofn.process(2, *place) if step == "process" else list(dofn.finish_bundle())
    with pytest.raises(TornDown):
        dofn.process(3, *place)
    logging.getLogger("apache_beam.runners.common").error("of Beam", exc_info=raised.value)
    assert "of Beam" in caplog.text
    assert "Traceback" not in caplog.text


def test_the_loop_serves_several_instances_at_once(name: str) -> None:
    results: list[list[Any]] = []

    def work(start: int) -> None:
        dofn = WindowedAsync(partial(make_slow, name, 0.01), 4)
        results.append([o.value for o in drive(dofn, list(range(start, start + 20)), 2)])

    threads = [threading.Thread(target=work, args=(start,)) for start in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(r) for r in results) == [20, 20, 20]
    assert shared(name, Seen).most <= 12


def test_a_window_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        WindowedAsync(make_three_ways, 0)


_INTERRUPTED = """
import asyncio, sys
import apache_beam as beam
from gog.transforms.beam.window import WindowedAsync

def make():
    async def slow(element):
        print("called", flush=True)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            print("cancelled", flush=True)
            raise
        return [element]
    return slow

try:
    with beam.Pipeline(runner="FnApiRunner") as p:
        p | beam.Create(range(100)) | beam.ParDo(WindowedAsync(make, 4))
except (RuntimeError, KeyboardInterrupt) as error:  # Beam wraps it where its own code is interrupted
    print(repr(error), flush=True)
    asyncio.run(asyncio.sleep(0.5))
"""


def test_an_interrupt_ends_the_wait(tmp_path: Path) -> None:
    script = tmp_path / "interrupted.py"
    script.write_text(_INTERRUPTED)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(4)]
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert lines == ["called\n"] * 4
    assert rest.split().count("cancelled") == 4
    assert "KeyboardInterrupt" in rest

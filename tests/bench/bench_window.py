"""Calls per second through the sliding window, beside the ideal and a bare asyncio loop.

`python tests/bench/bench_window.py [--json]`: 2,000 chat calls, 64 at a time, against an in-process service: 50 ms
each, and 30 ms with 5% at 600 ms (seeded). Three ways in each round: the ideal (list scheduling, no overhead); a
bare asyncio loop with a semaphore, calls only; and a Beam pipeline on FnApiRunner with `WindowedAsync` and
`Gateway` over a fresh store in record mode. Medians of five rounds. The pipeline's time is given without the runner's
own (first call begun to last row out of the window) and with it (`run()` to the end of `wait_until_finish()`, where
Beam sets up, counts, and waits up to 0.2 s for its sampling thread after each long stage).
"""

import asyncio
import heapq
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import apache_beam as beam

from gog.schemas import ImagePart, Message, TextPart
from gog.transforms.beam.window import WindowedAsync
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.loop import process_loop, shared, unshare
from gog.transforms.services.protocols import ChatReply, ChatRequest
from gog.transforms.services.store.sqlite import Store

CALLS = 2000
WINDOW = 64
ROUNDS = 5
_SYSTEM = Message(role="system", content="You look at pictures and answer questions about them. " * 20)


@dataclass(frozen=True)
class Case:
    """A service's latencies in seconds, one for each call."""

    name: str
    latencies: tuple[float, ...]

    @property
    def ideal_s(self) -> float:
        """Seconds by list scheduling: each call goes to the slot that is free first."""
        slots = [0.0] * WINDOW
        for latency in self.latencies:
            heapq.heapreplace(slots, slots[0] + latency)
        return max(slots)


@dataclass(frozen=True)
class Result:
    """Seconds, medians over the rounds; `spread` is the range of `window_s`."""

    case: str
    calls: int
    ideal_s: float
    bare_s: float
    window_s: float
    """From the first call begun to the last row out of the window."""
    run_s: float
    """The whole run of the pipeline."""
    spread: tuple[float, float]


def cases(calls: int = CALLS) -> tuple[Case, ...]:
    """The two cases, with the same slow calls each time."""
    rng = random.Random(0)
    tail = tuple(0.6 if rng.random() < 0.05 else 0.03 for _ in range(calls))
    return Case("50 ms", (0.05,) * calls), Case("30 ms, 5% at 600 ms", tail)


class Service:
    """A policy that answers after the latency of its call, whose number is the last word of the question."""

    id = "bench:service@1"

    def __init__(self, latencies: Sequence[float]) -> None:
        self._latencies = latencies
        self.began = self.ended = 0.0

    async def complete(self, request: ChatRequest) -> ChatReply:
        """A reply after a while."""
        self.began = self.began or time.perf_counter()
        number = request.messages[-1].text.rpartition(" ")[2]
        await asyncio.sleep(self._latencies[int(number)])
        return ChatReply(Message(role="assistant", content=f"<answer>{number}</answer>"), "stop", 900, 12)


def request(number: int) -> ChatRequest:
    """A call with a system message, an image and a question."""
    question = (ImagePart(image=f"{number:064x}"), TextPart(text=f"Whose flag is this? Number {number}"))
    return ChatRequest((_SYSTEM, Message(role="user", content=question)))


async def _bare(service: Service) -> float:
    slots = asyncio.Semaphore(WINDOW)

    async def one(number: int) -> ChatReply:
        async with slots:
            return await service.complete(request(number))

    began = time.perf_counter()
    await asyncio.gather(*map(one, range(len(service._latencies))))
    return time.perf_counter() - began


def _answer(folder: Path, latencies: tuple[float, ...]) -> Callable[[int], Awaitable[list[tuple[int, str]]]]:
    def door() -> tuple[Gateway, Service]:
        return Gateway(Store(folder), run="bench"), Service(latencies)

    gateway, service = shared(folder, door)

    async def ask(number: int) -> list[tuple[int, str]]:
        reply = await gateway.chat(service, request(number), "episode")
        return [(number, reply.message.text)]

    return ask


def _nobody() -> tuple[Gateway, Service]:
    raise AssertionError("a row came out before a call was made")


def _note(folder: Path, row: tuple[int, str]) -> tuple[int, str]:
    service: Service = shared(folder, _nobody)[1]
    service.ended = time.perf_counter()
    return row


def _pipeline(folder: Path, case: Case) -> tuple[float, float]:
    """Seconds through the window, and of the whole run."""
    pipeline = beam.Pipeline(runner="FnApiRunner")
    (
        pipeline
        | beam.Create(range(len(case.latencies)))
        | beam.ParDo(WindowedAsync(partial(_answer, folder, case.latencies), WINDOW))
        | beam.Map(partial(_note, folder))
        | beam.combiners.Count.Globally()
        | beam.Map(partial(_expect, len(case.latencies)))
    )
    began = time.perf_counter()
    pipeline.run().wait_until_finish()
    ended = time.perf_counter()
    gateway, service = unshare(folder)
    gateway.store.close()
    if gateway.statistics.calls != len(case.latencies):
        raise AssertionError(f"{gateway.statistics.calls} calls made of {len(case.latencies)}")
    return service.ended - service.began, ended - began


def _expect(rows: int, count: int) -> None:
    if count != rows:
        raise AssertionError(f"{count} rows came out of {rows}")


def measure(case: Case, rounds: int = ROUNDS) -> Result:
    """Bare loop and pipeline in turn, `rounds` times."""
    bare, runs = [], []
    for _ in range(rounds):
        bare.append(asyncio.run_coroutine_threadsafe(_bare(Service(case.latencies)), process_loop()).result())
        folder = Path(tempfile.mkdtemp(prefix="bench-window-"))
        try:
            runs.append(_pipeline(folder, case))
        finally:
            shutil.rmtree(folder)
    windows = [run[0] for run in runs]
    return Result(
        case=case.name,
        calls=len(case.latencies),
        ideal_s=case.ideal_s,
        bare_s=statistics.median(bare),
        window_s=statistics.median(windows),
        run_s=statistics.median(run[1] for run in runs),
        spread=(min(windows), max(windows)),
    )


def bench_window(calls: int = CALLS, rounds: int = ROUNDS) -> tuple[Result, ...]:
    """The whole bench; a small round first, so that imports and caches are paid for before the clock runs."""
    measure(Case("warm-up", (0.01,) * 200), 1)
    return tuple(measure(case, rounds) for case in cases(calls))


def table(results: Sequence[Result]) -> str:
    """The results as a table: calls a second, and shares of the bare loop's rate."""
    lines = [
        f"{'service':<22}{'ideal/s':>9}{'bare/s':>9}{'window/s':>10}{'of bare':>9}{'whole run/s':>17}{'of bare':>9}"
        f"{'window s (least-most)':>24}"
    ]
    lines.extend(
        f"{r.case:<22}{r.calls / r.ideal_s:>9.0f}{r.calls / r.bare_s:>9.0f}{r.calls / r.window_s:>10.0f}"
        f"{r.bare_s / r.window_s:>9.1%}{r.calls / r.run_s:>17.0f}{r.bare_s / r.run_s:>9.1%}"
        f"{f'{r.window_s:.2f} ({r.spread[0]:.2f}-{r.spread[1]:.2f})':>24}"
        for r in results
    )
    return "\n".join(lines)


if __name__ == "__main__":
    results = bench_window()
    shown = json.dumps([asdict(result) for result in results]) if "--json" in sys.argv else table(results)
    sys.stdout.write(shown + "\n")

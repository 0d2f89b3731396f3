"""A sliding window of asynchronous calls in a DoFn.

Elements are submitted to the process's event loop as they come, and their results leave as they finish: a slow call
holds back nothing but itself. The order of results is therefore not that of elements. The window bounds memory and
calls by itself; nothing is left to the size of a bundle.
"""

import asyncio
import logging
import queue
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Generic, NamedTuple, TypeVar

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput
from apache_beam.utils.windowed_value import WindowedValue

from gog.transforms.beam.counters import add_counts, begin_tally
from gog.transforms.services.loop import process_loop

T = TypeVar("T")

WINDOW: Final = 64
_SHOWN: Final = 300


class _Call(NamedTuple):
    """An element, and where it stands in its collection: its results keep that."""

    element: Any
    timestamp: Any
    window: Any
    pane: Any


class _Finished(NamedTuple):
    call: _Call
    outputs: list[Any]
    error: BaseException | None
    tally: Mapping[str, int]
    """What the call made of other calls, for the counters."""


class CallFailed(RuntimeError):  # noqa: N818
    """The asynchronous function raised on an element, which the message shows; the cause is its exception."""


class TornDown(RuntimeError):  # noqa: N818
    """The runner ended the DoFn while it was at work, as Beam's local one does when another of its workers is lost."""

    def __init__(self, message: str = "the runner ended this work") -> None:
        super().__init__(message)


def _without_traceback(record: logging.LogRecord) -> bool:
    """Beam logs what a DoFn raises; of its own doing a line is enough."""
    if record.exc_info and isinstance(record.exc_info[1], TornDown):
        record.exc_info = None
    return True


logging.getLogger("apache_beam.runners.common").addFilter(_without_traceback)


class _Bundle(Generic[T]):
    """The calls of one bundle. `submit` and `finished` are for the DoFn's thread, the rest runs on the loop."""

    def __init__(self, function: Callable[[T], Awaitable[Iterable[Any]]], loop: asyncio.AbstractEventLoop) -> None:
        self.held = 0
        """Calls submitted and not yet taken back."""
        self._function, self._loop = function, loop
        self._inbox: deque[_Call] = deque()
        self._done: list[_Finished] = []
        self._outbox: queue.SimpleQueue[list[_Finished]] = queue.SimpleQueue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = False
        self._cancelled = False

    def submit(self, call: _Call) -> None:
        self.held += 1
        self._inbox.append(call)
        # Waking the loop costs a system call; one wake serves all that is in the inbox when it comes.
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._start)

    def finished(self, wait: bool) -> Iterator[_Finished]:
        """What has finished; waits for the first when asked to."""
        try:
            while True:
                for finished in self._outbox.get(wait):
                    self.held -= 1
                    if finished.error is not None:
                        shown = repr(finished.call.element)[:_SHOWN]
                        raise CallFailed(f"{finished.error!r} on {shown}") from finished.error
                    yield finished
                wait = False
        except queue.Empty:
            return

    def cancel(self) -> None:
        """Cancel what is in flight; from any thread."""
        self._cancelled = True
        if self.held and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop)

    def _start(self) -> None:
        self._woken = False
        while self._inbox and not self._cancelled:
            task = self._loop.create_task(self._work(self._inbox.popleft()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _stop(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()

    async def _work(self, call: _Call) -> None:
        outputs: list[Any] = []
        error: BaseException | None = None
        tally = begin_tally()
        try:
            outputs = list(await self._function(call.element))
        except BaseException as raised:
            # Cancelled from outside or ended by the function: the DoFn must hear of it, or it waits for ever.
            error = raised
        self._done.append(_Finished(call, outputs, error, tally))
        if len(self._done) == 1:
            # What one round of the loop finishes goes over together: each wake of the DoFn costs the loop its turn.
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        done, self._done = self._done, []
        self._outbox.put(done)


class WindowedAsync(beam.DoFn):
    """Applies an asynchronous function to each element, `window` elements at a time.

    The function returns the outputs of its element: values, or `TaggedOutput`s for other outputs. They keep the
    element's timestamp, windows and pane. An exception fails the pipeline with the element in the message, so
    failures that are data belong into outputs.

    The window is that of a DoFn instance, of which a process may have several; what must hold for the process
    (limits, budget) is the function's to share (`gog.transforms.services.loop.shared`). Memory is bounded by
    the window, in bundles of any size.
    """

    def __init__(
        self, make: Callable[[], Callable[[Any], Awaitable[Iterable[Any]]]], window: int = WINDOW, stage: str = ""
    ) -> None:
        """`make` is called in `setup`, once an instance, and must pickle; its function runs on `process_loop()`.

        `stage` names what its calls are counted under.
        """
        if window < 1:
            raise ValueError(f"window must be at least 1, not {window}")
        self._make, self._window, self._stage = make, window, stage
        self._bundle: _Bundle[Any] | None = None

    def setup(self) -> None:
        """Make the function."""
        self._function = self._make()

    def start_bundle(self) -> None:
        """Cancel what a failed bundle left behind, and begin anew."""
        self._abandon()
        self._bundle = _Bundle(self._function, process_loop())

    def process(
        self,
        element: Any,
        timestamp: Any = beam.DoFn.TimestampParam,
        window: Any = beam.DoFn.WindowParam,
        pane: Any = beam.DoFn.PaneInfoParam,
    ) -> list[Any]:
        """Submit the element, once there is room for it; return what has finished meanwhile."""
        bundle = self._at_work()
        try:
            results = [out for done in bundle.finished(bundle.held >= self._window) for out in self._placed(done)]
            bundle.submit(_Call(element, timestamp, window, pane))
        except BaseException:
            self._given_up(bundle)
            raise
        return results

    def finish_bundle(self) -> Iterator[Any]:
        """Yield the rest as it finishes."""
        bundle = self._at_work()
        try:
            while bundle.held:
                for done in bundle.finished(wait=True):
                    yield from self._placed(done)
        except BaseException:
            self._given_up(bundle)
            raise

    def teardown(self) -> None:
        """Cancel what is in flight."""
        self._abandon()

    def _placed(self, finished: _Finished) -> Iterator[Any]:
        add_counts({f"{self._stage}_{name}": number for name, number in finished.tally.items()})
        _, timestamp, window, pane = finished.call
        for output in finished.outputs:
            if isinstance(output, TaggedOutput):
                yield TaggedOutput(output.tag, WindowedValue(output.value, timestamp, (window,), pane))
            else:
                yield WindowedValue(output, timestamp, (window,), pane)

    def _at_work(self) -> _Bundle[Any]:
        if self._bundle is None:
            raise TornDown
        return self._bundle

    def _given_up(self, bundle: _Bundle[Any]) -> None:
        """Cancel what is in flight; that it was cancelled by `teardown`, in another thread, is the runner's doing."""
        bundle.cancel()
        if self._bundle is not bundle:
            raise TornDown from None

    def _abandon(self) -> None:
        bundle, self._bundle = self._bundle, None  # before what waits for it hears of it
        if bundle is not None:
            bundle.cancel()

"""Progress on standard error."""

import io
from types import SimpleNamespace

import pytest
from calling import Place
from rich.console import Console

from gog.pipelines.cli import progress
from gog.pipelines.cli.progress import AnswerCount, Progress
from gog.pipelines.config.config import load_config
from gog.pipelines.views.status import StepPace
from gog.schemas import FailureClass
from gog.transforms.services.gateway.statistics import Statistics
from gog.transforms.services.models.starting import starting


def test_progress_is_a_plain_line_without_a_terminal(finished: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_EVERY", 0.01)
    stream = io.StringIO()
    with Progress(load_config(finished.config), stream) as shown:
        shown.shard("synthesize", 1, 3)
        shown._stop.wait(0.1)
    lines = stream.getvalue().splitlines()
    assert lines
    assert all("synthesize 2/3" in line and "\x1b" not in line for line in lines)


class Clock:
    """Time as a test sets it."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


@pytest.fixture
def stats(monkeypatch: pytest.MonkeyPatch) -> Statistics:
    """What the run's gateway counts."""
    made = Statistics()
    monkeypatch.setattr(progress, "peek", lambda key: SimpleNamespace(gateway=SimpleNamespace(statistics=made)))
    monkeypatch.setattr(progress, "pace_of", lambda lake, run: StepPace("synthesize", 0.434, 170.0))
    return made


def drawn(shown: Progress, width: int = 80) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width).print(shown.shown())
    return stream.getvalue().splitlines()


def test_on_a_terminal_a_bar_tells_share_rate_and_time_left(finished: Place, clock: Clock, stats: Statistics) -> None:
    shown = Progress(load_config(finished.config), io.StringIO())
    assert drawn(shown) == [""]
    shown.shard("synthesize", 0, 12)
    stats.calls, stats.in_flight = 64, 64
    drawn(shown)
    clock.now += 10
    stats.calls, stats.from_store, stats.cost = 1_234_564, 200_000, 1234.5
    stats.failures[FailureClass.TIMEOUT] = 12
    first, second = drawn(shown)
    assert first.split() == ["synthesize", "1/12", first.split()[2], "43%", "about", "3", "min", "left"]
    assert second == "1,234,564 calls, 200,000 from store, 64 in flight, 143,450/s, $1,234.50, 12 fai…"
    assert max(map(len, (first, second))) <= 80


def test_it_says_so_when_nothing_comes_back(finished: Place, clock: Clock, stats: Statistics) -> None:
    shown = Progress(load_config(finished.config), io.StringIO())
    shown.shard("synthesize", 0, 1)
    stats.calls, stats.in_flight = 100, 8
    shown.line()
    for _ in range(60):
        clock.now += 1
        told = shown.line()
    assert told.endswith("| nothing has come back for 60 s: 8 calls in flight")
    assert drawn(shown)[1] == "nothing has come back for 60 s: 8 calls in flight"
    stats.calls, stats.in_flight = 101, 8
    assert "nothing" not in shown.line(), "one has come back and another was asked"


def test_it_says_which_server_is_not_up_yet(finished: Place, clock: Clock, stats: Statistics) -> None:
    shown, answers = Progress(load_config(finished.config), io.StringIO()), AnswerCount("fvqa", 9, io.StringIO())
    shown.shard("synthesize", 0, 1)
    with starting("vllm:m") as start:
        start.seconds, start.said = 40.0, "Loading weights"
        assert shown.line().endswith("| vllm:m is starting, 40 s: Loading weights")
        assert answers.line() == "vllm:m is starting, 40 s: Loading weights"
    assert "starting" not in shown.line() + answers.line()


def test_a_step_that_asks_nobody_is_not_called_silent(finished: Place, clock: Clock, stats: Statistics) -> None:
    shown = Progress(load_config(finished.config), io.StringIO())
    shown.shard("export_sft", 0, 1)
    shown.line()
    clock.now += 100
    assert "nothing" not in shown.line()
    assert "%" not in shown.line()

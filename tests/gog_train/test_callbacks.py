"""Progress and the orderly stop, without a training around them."""

import os
import signal
from types import SimpleNamespace
from typing import Any

import pytest

from gog_train.callbacks import Progress, Stop


def state(step: int, steps: int = 100, first_process: bool = True) -> Any:
    return SimpleNamespace(global_step=step, max_steps=steps, is_world_process_zero=first_process)


def test_a_line_every_so_often_and_at_each_evaluation() -> None:
    lines: list[str] = []
    progress = Progress(lines.append, every_s=0)
    progress.on_train_begin(None, state(40), None)
    progress.on_log(None, state(41), None, logs={"loss": 1.25, "text": "no number"})
    progress.on_step_end(None, state(41), None)
    progress.on_log(None, state(41), None, logs={"eval_loss": 2.0})
    assert lines[0] == "step 40/100"
    assert lines[1].startswith("step 41/100, loss 1.2500, ")
    assert lines[2] == "step 41/100, validation loss 2.0000"


def test_the_time_left_is_that_of_the_steps_since_the_start() -> None:
    progress = Progress(lambda line: None)
    progress.on_train_begin(None, state(40), None)
    assert progress.line(state(50), seconds=100) == "step 50/100, 10.0 s a step, 8 min left"
    assert progress.line(state(50, steps=2050), seconds=100).endswith("5 h 33 min left")
    assert progress.line(state(99), seconds=59).endswith("under a minute left")


def test_it_is_quiet_in_between_and_in_other_processes() -> None:
    lines: list[str] = []
    progress = Progress(lines.append, every_s=1000)
    progress.on_train_begin(None, state(0), None)
    progress.on_step_end(None, state(1), None)
    assert lines == ["step 0/100"]
    other = Progress(lines.append, every_s=0)
    other.on_train_begin(None, state(0, first_process=False), None)
    other.on_step_end(None, state(1, first_process=False), None)
    assert lines == ["step 0/100"]


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_is_as_ever(kind: signal.Signals) -> None:
    seen: list[int] = []
    before = signal.signal(kind, lambda number, frame: seen.append(number))
    try:
        stop = Stop()
        control = SimpleNamespace(should_save=False, should_training_stop=False)
        with stop.on_signals():
            stop.on_step_end(None, None, control)
            assert not control.should_training_stop
            os.kill(os.getpid(), kind)
            assert stop.asked
            stop.on_step_end(None, None, control)
            assert control.should_save
            assert control.should_training_stop
            assert not seen
            os.kill(os.getpid(), kind)
            assert seen == [kind]
        os.kill(os.getpid(), kind)
        assert len(seen) == 2
    finally:
        signal.signal(kind, before)

"""Progress and the orderly stop, without a training around them."""

import os
import re
import signal
from types import SimpleNamespace
from typing import Any

import pytest

from gog_train.callbacks import BROKEN, DULL, MASKED, STILL, Moment, Progress, Stop, Watch
from gog_train.curves import Curves


def state(step: int, steps: int = 100, first_process: bool = True) -> Any:
    return SimpleNamespace(global_step=step, max_steps=steps, is_world_process_zero=first_process)


def test_a_line_for_each_log_and_every_so_often_between() -> None:
    lines: list[str] = []
    progress = Progress(lines.append, every_s=0)
    progress.on_train_begin(None, state(40), None)
    progress.on_log(None, state(41), None, logs={"loss": 1.25, "text": "no number"})
    progress.on_step_end(None, state(42), SimpleNamespace(should_log=False))
    progress.on_step_end(None, state(43), SimpleNamespace(should_log=True))
    progress.on_log(None, state(43), None, logs={"eval_loss": 2.0, "learning_rate": 1e-4, "train_runtime": 9.0})
    progress.on_log(None, state(43), None, logs={"train_runtime": 9.0})
    assert lines[0] == "step 40/100"
    assert lines[1].startswith("step 41/100, loss 1.25, ")
    assert re.fullmatch(r"step 42/100, \d+\.\d s a step, under a minute left", lines[2])
    assert lines[3].startswith("step 43/100, eval loss 2, ")
    assert len(lines) == 4


def test_the_time_left_is_that_of_the_steps_since_the_start() -> None:
    progress = Progress(lambda line: None)
    progress.on_train_begin(None, state(40), None)
    assert progress.line(state(50), seconds=100, values={}) == "step 50/100, 10.0 s a step, 8 min left"
    assert progress.line(state(50, steps=2050), seconds=100, values={}).endswith("5 h 33 min left")
    assert progress.line(state(99), seconds=59, values={}).endswith("under a minute left")


def test_it_is_quiet_in_between_and_in_other_processes() -> None:
    lines: list[str] = []
    progress = Progress(lines.append, every_s=1000)
    progress.on_train_begin(None, state(0), None)
    progress.on_step_end(None, state(1), SimpleNamespace(should_log=False))
    assert lines == ["step 0/100"]
    other = Progress(lines.append, every_s=0)
    other.on_train_begin(None, state(0, first_process=False), None)
    other.on_log(None, state(1, first_process=False), None, logs={"loss": 1.0})
    other.on_step_end(None, state(1, first_process=False), SimpleNamespace(should_log=False))
    assert lines == ["step 0/100"]


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_is_as_ever(kind: signal.Signals) -> None:
    seen: list[int] = []
    before = signal.signal(kind, lambda number, frame: seen.append(number))
    try:
        stop = Stop()
        control = SimpleNamespace(should_save=False, should_training_stop=False)
        with stop.on_signals():
            stop.on_step_end(None, state(1), control)
            assert not control.should_training_stop
            os.kill(os.getpid(), kind)
            assert stop.asked
            stop.on_step_end(None, state(1), control)
            assert control.should_save
            assert control.should_training_stop
            assert not seen
            os.kill(os.getpid(), kind)
            assert seen == [kind]
        os.kill(os.getpid(), kind)
        assert len(seen) == 2
    finally:
        signal.signal(kind, before)


def test_a_stop_waits_for_the_last_step_of_a_batch_of_rollouts() -> None:
    """A checkpoint in the middle of one would go on with other rollouts."""
    stop, control = Stop(every=4), SimpleNamespace(should_save=False, should_training_stop=False)
    stop.ask("enough")
    stop.on_step_end(None, state(3), control)
    assert not control.should_training_stop
    stop.on_step_end(None, state(4), control)
    assert control.should_training_stop
    assert stop.why == "enough"


@pytest.mark.parametrize(
    ("logs", "means"),
    [
        ({"groups/with_signal": 0.0, "grad_norm": 0.3}, "all right or all wrong"),
        ({"episode/masked": 0.8, "grad_norm": 0.3}, "most rollouts were masked"),
        ({"grad_norm": 0.0}, "the gradient was 0"),
        ({"grad_norm": float("nan")}, "not a number"),
    ],
)
def test_a_training_that_learns_nothing_is_stopped_with_the_reason(logs: dict[str, float], means: str) -> None:
    stop = Stop()
    watch = Watch(stop, (DULL, MASKED, STILL, BROKEN), steps=20)
    watch.on_train_begin(None, state(100), None)
    for step in (105, 110, 115):
        watch.on_log(None, state(step), None, logs=logs)
        assert not stop.asked
    watch.on_log(None, state(120), None, logs=logs)
    assert stop.asked
    assert stop.why.startswith("nothing is learned: for 20 steps ")
    assert means in stop.why


def test_a_training_that_learns_now_and_then_goes_on() -> None:
    stop = Stop()
    watch = Watch(stop, (DULL, MASKED), steps=10)
    for step in range(5, 100, 5):
        signs = {"groups/with_signal": float(step % 10 == 0), "episode/masked": 0.5, "loss": 0.0}
        watch.on_log(None, state(step), None, logs=signs)
        watch.on_log(None, state(step), None, logs={"train_runtime": 5.0})
    assert not stop.asked
    never = Watch(stop, (DULL,), steps=0)
    for step in range(100):
        never.on_log(None, state(step), None, logs={"groups/with_signal": 0.0})
    assert not stop.asked


def test_an_evaluation_takes_no_time_of_the_tokens_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("gog_train.curves.time.monotonic", lambda: now[0])
    curves = Curves(None, "export")
    known = SimpleNamespace(global_step=0, log_history=[])

    def said(seconds: float, tokens: int) -> float:
        now[0] += seconds
        logs: dict[str, Any] = {"loss": 1.0, "num_tokens": tokens}
        curves.on_log(None, known, None, logs=logs)
        return float(logs["tokens_per_second"])

    def steps(seconds: float) -> None:
        now[0] += seconds
        curves.on_step_end(None, known, None)

    def evaluates(seconds: float) -> None:
        now[0] += seconds
        curves.on_log(None, known, None, logs={"eval_loss": 1.0})
        curves.on_evaluate(None, known, None)

    curves.on_train_begin(None, known, None)
    evaluates(50)
    steps(10)
    assert said(0, 1000) == 100, "one before the first step"
    evaluates(50)
    steps(10)
    assert said(0, 2000) == 100, "one behind a log"
    steps(4)
    evaluates(50)
    evaluates(7)
    steps(6)
    assert said(0, 3000) == 100, "two between two logs"
    steps(10)
    assert said(0, 4000) == 100


def test_random_numbers_go_on_from_before_the_step() -> None:
    import random

    import numpy as np
    import torch

    def drawn() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    moment = Moment()
    moment.put_back()
    moment.on_step_begin(None, None, None)
    first = drawn()
    assert drawn() != first
    moment.put_back()
    assert drawn() == first
    moment.on_step_end(None, None, None)
    later = drawn()
    moment.put_back()
    assert drawn() == later != first

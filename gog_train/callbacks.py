"""What is done between the steps of a training: progress, and an orderly stop. Imports transformers."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from transformers import TrainerCallback

EVERY_S: Final = 10.0
"""Seconds between two lines of progress."""


class Progress(TrainerCallback):
    """A line of the step, the last metrics and the time left, every ten seconds and at each evaluation."""

    def __init__(self, say: Callable[[str], None], every_s: float = EVERY_S) -> None:
        self.say = say
        self.every_s = every_s
        self.metrics: dict[str, float] = {}
        self.began = self.said = 0.0
        self.first = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Say where it begins."""
        self.began = self.said = time.monotonic()
        self.first = state.global_step
        if state.is_world_process_zero:
            self.say(f"step {state.global_step}/{state.max_steps}")

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **more: Any) -> None:
        """Keep the metrics for the next line; an evaluation is said at once."""
        numbers = {key: float(value) for key, value in (logs or {}).items() if isinstance(value, int | float)}
        self.metrics |= numbers
        if state.is_world_process_zero and "eval_loss" in numbers:
            self.say(f"step {state.global_step}/{state.max_steps}, validation loss {numbers['eval_loss']:.4f}")

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Say a line when it is time."""
        now = time.monotonic()
        if state.is_world_process_zero and now - self.said >= self.every_s:
            self.said = now
            self.say(self.line(state, now - self.began))

    def line(self, state: Any, seconds: float) -> str:
        """Step, loss, rate and time left."""
        done = state.global_step - self.first
        pace = seconds / max(done, 1)
        rest = _clock(pace * (state.max_steps - state.global_step))
        loss = f", loss {self.metrics['loss']:.4f}" if "loss" in self.metrics else ""
        return f"step {state.global_step}/{state.max_steps}{loss}, {pace:.1f} s a step, {rest} left"


class Stop(TrainerCallback):
    """Ends the training after the step that runs, with a checkpoint, once it was asked to."""

    def __init__(self) -> None:
        self.asked = False

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Save and stop, if asked. Every process asks the same: signals reach the whole group."""
        if self.asked:
            control.should_save = control.should_training_stop = True

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """The first Ctrl-C (or SIGTERM) asks for the stop, the second one is as ever."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        kinds = (signal.SIGINT, signal.SIGTERM)
        before = {kind: signal.getsignal(kind) for kind in kinds}

        def ask(number: int, frame: Any) -> None:
            self.asked = True
            for kind, handler in before.items():
                signal.signal(kind, handler)
            print("stopping after this step; once more ends at once, without a checkpoint", file=sys.stderr, flush=True)

        for kind in kinds:
            signal.signal(kind, ask)
        try:
            yield
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)


def _clock(seconds: float) -> str:
    minutes = round(seconds / 60)
    return (
        f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min" if minutes else "under a minute"
    )

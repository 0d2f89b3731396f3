"""What is done between the steps of a training: progress, and an orderly stop. Imports transformers."""

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from transformers import TrainerCallback

from gog.transforms.dialect.backbones import Backbone, Template
from gog_train.checkpoints import note
from gog_train.curves import values_of

EVERY_S: Final = 10.0
"""Seconds of silence after which a line of progress is said between two logs."""
_UNSAID: Final = ("learning_rate", "tokens")
"""Curves that are not told on the terminal."""


class Progress(TrainerCallback):
    """A line for each log, with the curves and the time left; between logs one every ten seconds."""

    def __init__(self, say: Callable[[str], None], every_s: float = EVERY_S) -> None:
        self.say = say
        self.every_s = every_s
        self.began = self.said = 0.0
        self.first = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Say where it begins."""
        self.began = self.said = time.monotonic()
        self.first = state.global_step
        if state.is_world_process_zero:
            self.say(f"step {state.global_step}/{state.max_steps}")

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **more: Any) -> None:
        """Say what was logged, of an evaluation too."""
        values = {name: value for name, value in values_of(logs or {}).items() if name not in _UNSAID}
        if values and state.is_world_process_zero:
            self.said = time.monotonic()
            self.say(self.line(state, self.said - self.began, values))

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Say a line when it is time, and no log is about to."""
        now = time.monotonic()
        if state.is_world_process_zero and now - self.said >= self.every_s and not control.should_log:
            self.said = now
            self.say(self.line(state, now - self.began, {}))

    def line(self, state: Any, seconds: float, values: Mapping[str, float]) -> str:
        """Step, curves, rate and time left."""
        said = "".join(f", {name.replace('_', ' ')} {_short(value)}" for name, value in values.items())
        done = state.global_step - self.first
        if not done:
            return f"step {state.global_step}/{state.max_steps}{said}"
        pace = seconds / done
        rest = _clock(pace * (state.max_steps - state.global_step))
        return f"step {state.global_step}/{state.max_steps}{said}, {pace:.1f} s a step, {rest} left"


class Watch(TrainerCallback):
    """Asks for the stop of a training that learns nothing, from what is logged: each sign of that with its reason.

    A sign counts once it is there in every log of so many steps.
    """

    def __init__(self, stop: "Stop", signs: Sequence["Sign"], steps: int) -> None:
        """`steps` 0 asks for nothing."""
        self.stop, self.signs, self.steps = stop, signs, steps
        self._since: dict[Sign, int] = {}
        self._last = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Steps of an earlier process are not counted."""
        self._last = state.global_step

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Count the steps of each sign."""
        for sign in self.signs:
            if sign.metric not in (logs or {}):
                continue
            if sign.there(float((logs or {})[sign.metric])):
                began = self._since.setdefault(sign, self._last)
                if self.steps and state.global_step - began >= self.steps and not self.stop.asked:
                    self.stop.ask(f"nothing is learned: for {state.global_step - began} steps {sign.means}")
            else:
                self._since.pop(sign, None)
        self._last = state.global_step


@dataclass(frozen=True, slots=True)
class Sign:
    """A metric, when it is a bad sign, and what that means."""

    metric: str
    there: Callable[[float], bool]
    means: str


STILL: Final = Sign("grad_norm", lambda norm: norm == 0, "the gradient was 0: no weight moves")
BROKEN: Final = Sign("grad_norm", math.isnan, "the gradient was not a number: lower the learning rate")
DULL: Final = Sign(
    "groups/with_signal",
    lambda share: share == 0,
    "the rollouts of every question were all right or all wrong: take other questions (`gog label`), or more rollouts",
)
MASKED: Final = Sign(
    "episode/masked",
    lambda share: share > 0.5,
    "most rollouts were masked, see masked/*: raise turn_tokens or max_tokens, look after the tools, or name a judge",
)
DRIFTED: Final = Sign(
    "sampling/effective_share",
    lambda share: share < 0.5,
    "the weights of the off-policy correction left less than half of the tokens: vLLM and the trainer disagree",
)


class Moment(TrainerCallback):
    """The random numbers as they stood before the step that runs, or after the last: a checkpoint that is made when it
    is broken off goes on there.
    """

    def __init__(self) -> None:
        self._put_back: Callable[[], None] = lambda: None

    def on_step_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Remember."""
        self._remember()

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Remember: what comes behind the step, an evaluation, may be broken off too."""
        self._remember()

    def _remember(self) -> None:
        import random

        import numpy as np
        import torch

        own, arrays, tensors = random.getstate(), np.random.get_state(), torch.get_rng_state()
        devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []

        def put_back() -> None:
            random.setstate(own)
            np.random.set_state(arrays)
            torch.set_rng_state(tensors)
            if devices:
                torch.cuda.set_rng_state_all(devices)

        self._put_back = put_back

    def put_back(self) -> None:
        """Have all random numbers of this process go on from before the step."""
        self._put_back()


class Served(TrainerCallback):
    """Writes beside each checkpoint what serves it, so that `gog label` and `gog eval` take it."""

    def __init__(self, template: Template, backbone: Backbone) -> None:
        self.template, self.backbone = template, backbone

    def on_save(self, args: Any, state: Any, control: Any, model: Any = None, **more: Any) -> None:
        """Write it."""
        if state.is_world_process_zero:
            folder = Path(args.output_dir).resolve() / f"checkpoint-{state.global_step}"
            note(model, folder, self.template, self.backbone)


class Stop(TrainerCallback):
    """Ends the training after the step that runs, with a checkpoint, once it was asked to."""

    def __init__(self, every: int = 1) -> None:
        """`every`: steps that a batch of rollouts is shared out to, after the last of which alone it can go on."""
        self.every = every
        self.asked = False
        self.why = "stopped"

    def ask(self, why: str) -> None:
        """Ask for the stop, with a reason."""
        self.asked, self.why = True, why

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Save and stop, if any process was asked: a signal does not reach all of them within the same step."""
        self.asked = _any(self.asked)
        if self.asked and state.global_step % self.every == 0:
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


def _any(here: bool) -> bool:
    """Whether it is so in any process."""
    import torch
    from accelerate import PartialState
    from accelerate.utils import gather

    state = PartialState()
    if state.num_processes == 1:
        return here
    return bool(gather(torch.tensor([int(here)], device=state.device)).any().item())


def _short(value: float) -> str:
    """Three digits, as `12,345`, `0.123` and `4.5e-05`."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _clock(seconds: float) -> str:
    minutes = round(seconds / 60)
    return (
        f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min" if minutes else "under a minute"
    )

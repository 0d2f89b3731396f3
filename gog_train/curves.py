"""The curves of a training: what is said of a step, by names that stay, in its lake and to whoever reports.

Imports transformers.
"""

import time
from collections.abc import Mapping
from typing import Any, Final

from transformers import TrainerCallback

from gog_train.training_lake import TrainingLake

NAMES: Final = {
    "reward": "reward",
    "reward/accuracy": "accuracy",
    "reward/format": "format",
    "episode/masked": "masked_share",
    "groups/with_signal": "with_signal",
    "episode/turns": "turns",
    "searches": "searches",
    "completions/mean_length": "tokens",
    "loss": "loss",
    "mean_token_accuracy": "token_accuracy",
    "kl": "kl",
    "entropy": "entropy",
    "sampling/importance_sampling_ratio/mean": "ratio",
    "sampling/effective_share": "effective_share",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "tokens_per_second": "tokens_per_second",
    "eval_accuracy": "eval_accuracy",
    "eval_unknown": "eval_unknown",
    "eval_format": "eval_format",
    "eval_turns": "eval_turns",
    "eval_searches": "eval_searches",
    "eval_loss": "eval_loss",
    "eval_mean_token_accuracy": "eval_token_accuracy",
}
"""Names of curves by those that trainers log under, in the order in which they are said."""


def values_of(logs: Mapping[str, Any]) -> dict[str, float]:
    """What of a log is a point of a curve, by name; `searches` are those of all tools."""
    numbers = {name: float(value) for name, value in logs.items() if isinstance(value, int | float)}
    tools = [value for name, value in numbers.items() if name.startswith("searches/")]
    numbers |= {"searches": sum(tools)} if tools else {}
    return {name: numbers[logged] for logged, name in NAMES.items() if logged in numbers}


class Curves(TrainerCallback):
    """Writes what is logged into the training's lake. It has to be called first: it adds `tokens_per_second`."""

    def __init__(self, lake: TrainingLake | None, fingerprint: str) -> None:
        """`lake` is None in processes that do not write; `fingerprint` says what is trained on."""
        self.lake, self.fingerprint = lake, fingerprint
        self._tokens, self._since, self._stepped = 0.0, 0.0, 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Open the lake where the training goes on; no process puts a picture before."""
        from accelerate import PartialState

        if self.lake is not None:
            self.lake.begin(state.global_step, self.fingerprint)
        PartialState().wait_for_everyone()
        logged = [entry["num_tokens"] for entry in state.log_history if entry.get("num_tokens")]
        self._tokens, self._since = (logged[-1] if logged else 0.0), time.monotonic()
        self._stepped = self._since

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """What comes behind the step may be an evaluation."""
        self._stepped = time.monotonic()

    def on_evaluate(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Its time is none of the training's tokens."""
        now = time.monotonic()
        self._since += now - max(self._since, self._stepped)
        self._stepped = now

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **more: Any) -> None:
        """Add a point to each curve."""
        logs = {} if logs is None else logs
        if (tokens := logs.get("num_tokens")) is not None and "loss" in logs:
            now = time.monotonic()
            more_tokens = tokens - self._tokens if tokens >= self._tokens else tokens  # a resumed SFT counts anew
            logs["tokens_per_second"] = round(more_tokens / max(now - self._since, 1e-9), 1)
            self._tokens, self._since = tokens, now
        values = values_of(logs)
        if values and self.lake is not None:
            self.lake.log(state.global_step, values)

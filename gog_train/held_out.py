"""How the greedy policy answers held-out questions, and which of its checkpoints answers best. Imports transformers.

Rollouts are those of the training: the same machine, tools, judge and caches. A question that a failing tool or judge
leaves open is no wrong answer: it is out of the share.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from transformers import GenerationConfig, TrainerCallback

from gog.transforms.atomic import write_file
from gog.transforms.services.loop import run_on_loop
from gog_train.environment import Environment
from gog_train.rewards.scoring import CountedJudge, finished_of, score_all

BEST: Final = "best.json"

_SAMPLING: Final = ("temperature", "top_p", "top_k", "min_p", "cache_implementation")


def share_of(rows: int, process: int, processes: int) -> list[int | None]:
    """Numbers of the rows that a process asks; None fills up, since all have to generate equally often."""
    each = math.ceil(rows / processes)
    mine: list[int | None] = list(range(process, rows, processes))
    return mine + [None] * (each - len(mine))


def ask(trainer: Any, rows: Any) -> dict[str, float]:
    """Means over held-out rows, by name, equal in all processes; no `eval_accuracy` where nothing could be settled.

    `trainer` is the training's, in evaluation. As many rollouts are held at a time as in a step of it.
    """
    import torch

    accelerator, setup = trainer.accelerator, trainer.setup
    mine = share_of(len(rows), accelerator.process_index, accelerator.num_processes)
    judge = CountedJudge(setup.services.judge) if setup.services.judge else None
    sums = [0.0] * 7
    at_once = trainer.args.per_device_train_batch_size * trainer.args.steps_per_generation
    with _greedy(trainer):
        for start in range(0, len(mine), at_once):
            numbers = mine[start : start + at_once]
            environments = _rolled_out(trainer, [rows[number or 0] for number in numbers])
            real = [e.rollout for e, number in zip(environments, numbers, strict=True) if number is not None]
            for rollout, scored in zip(real, run_on_loop(score_all(real, judge, setup.reward)), strict=True):
                form = scored.values.get("format")
                said = (scored.right is not None, bool(scored.right), rollout.episode.turns)
                counts = (1, *said, finished_of(rollout).searches, form is not None, form or 0.0)
                sums = [one + float(other) for one, other in zip(sums, counts, strict=True)]
            setup.services.images.clear()
    asked = [judge.asked, judge.answered] if judge else [0, 0]
    gathered = accelerator.gather(torch.tensor([sums + asked], device=accelerator.device, dtype=torch.float64))
    count, settled, right, turns, searches, formed, form, *asked = gathered.sum(0).tolist()
    setup.health.add(int(asked[0]), int(asked[1]))
    accuracy = {"eval_accuracy": right / settled} if settled else {}
    formats = {"eval_format": form / formed} if formed else {}
    means = {"eval_unknown": 1 - settled / count, "eval_turns": turns / count, "eval_searches": searches / count}
    return accuracy | formats | means


def _rolled_out(trainer: Any, rows: Sequence[Mapping[str, Any]]) -> list[Environment]:
    """The environments of the rows, their rollouts at their end."""
    from trl.data_utils import prepare_multimodal_messages

    setup = trainer.setup
    made = [Environment(setup.services.tools, setup.services.images, setup.episode) for _ in rows]
    for environment, row in zip(made, rows, strict=True):
        environment.reset(**row)
    trainer.environments, trainer._batch_environments = made, [None] * len(rows)
    trainer._generate([prepare_multimodal_messages(row["prompt"], images=row["images"]) for row in rows])
    return made


@contextmanager
def _greedy(trainer: Any) -> Iterator[None]:
    """Generation takes the likeliest token."""
    owner: Any = trainer
    values: dict[str, Any]
    if trainer.use_vllm:
        owner, values = trainer.vllm_generation, {"temperature": 0.0, "top_p": 1.0}
    else:
        plain = {key: value for key, value in trainer.generation_kwargs.items() if key not in _SAMPLING}
        plain |= {"do_sample": False}
        values = {"generation_kwargs": plain, "generation_config": GenerationConfig(**plain, disable_compile=True)}
    before = {name: getattr(owner, name) for name in values}
    try:
        for name, value in values.items():
            setattr(owner, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)


class Best(TrainerCallback):
    """Keeps the checkpoint of the best evaluation, named in `OUTPUT/best.json`, and ends a training that finds none."""

    def __init__(self, metric: str, *, higher: bool, patience: int, say: Callable[[str], None]) -> None:
        """`patience`: evaluations without a better one after which training ends; 0: never."""
        self.metric, self.sign = metric, 1 if higher else -1
        self.patience, self._say = patience, say
        self.why = ""
        """Why it was ended; empty where it was not."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """A killed process may have saved a checkpoint without naming it."""
        self._name(args, state)

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """The last step is evaluated, whatever its number is."""
        if args.eval_strategy == "steps" and state.global_step >= state.max_steps:
            control.should_evaluate = True

    def on_evaluate(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Have the best so far saved; stop where there was none for long."""
        seen = _seen(state, self.metric)
        tried = [step for step in seen if step]
        if not tried:
            return
        best = max(tried, key=lambda step: (self.sign * seen[step], -step))
        state.best_metric, state.best_global_step = seen[best], best
        if best == state.global_step:
            control.should_save = True
        since = sum(step > best for step in tried)
        if self.patience and since >= self.patience and not self.why:
            control.should_save = control.should_training_stop = True
            self.why = f"no better {self.metric} in {since} evaluations"
            self._say(f"step {state.global_step}/{state.max_steps}: {self.why} than that of step {best}: it ends here")

    def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Name it. A training that ends here keeps this one, too, to be gone on from: with a limit of one checkpoint
        transformers would remove all but the best at its end.
        """
        self._name(args, state)
        if control.should_training_stop:
            state.best_model_checkpoint = None

    def _name(self, args: Any, state: Any) -> None:
        step = state.best_global_step
        output = Path(args.output_dir)
        if not step or not state.is_world_process_zero or not (output / f"checkpoint-{step}").is_dir():
            return
        seen = _seen(state, self.metric)
        start = {"at_start": seen[0]} if 0 in seen else {}
        best = {"checkpoint": f"checkpoint-{step}", "step": step, self.metric: state.best_metric, **start}
        write_file(output / BEST, (json.dumps(best, indent=1) + "\n").encode())


def _seen(state: Any, metric: str) -> dict[int, float]:
    """By step, every number of the metric that was logged; what is none is left out."""
    logged = {int(entry["step"]): entry.get(metric) for entry in state.log_history if entry.get(metric) is not None}
    return {step: float(value) for step, value in logged.items() if math.isfinite(value)}

"""verl's sampler of a step's rollouts, with an end to dynamic sampling.

Source: verl 0.9.1, `verl.trainer.ppo.v1.replay_buffer` and `trainer_base`: a sampler of one's own is not told of
`algorithm.filter_groups`, so the recipe says it in `sampler_kwargs`.
"""

from typing import Any

from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer  # type: ignore[import-not-found, unused-ignore]

from gog_train.verl.draws import Draws


class EndingReplayBuffer(ReplayBuffer):  # type: ignore[misc, unused-ignore]
    """`sampler_kwargs`: `filter` (whether), `metric`, `questions` of a step, and `batches` of them more at most."""

    def __init__(self, *, sampler_kwargs: Any, refill_fn: Any, **more: Any) -> None:
        self._draws = Draws(refill_fn, int(sampler_kwargs.batches), int(sampler_kwargs.questions))
        dynamic = bool(sampler_kwargs.filter)
        super().__init__(
            sampler_kwargs=sampler_kwargs,
            refill_fn=self._draws,
            filter_groups_metric=str(sampler_kwargs.metric) if dynamic else None,
            train_batch_size=int(sampler_kwargs.questions),
            gen_batch_size=1 if dynamic else int(sampler_kwargs.questions),
            **more,
        )

    def sample(self, *args: Any, **named: Any) -> Any:
        """A step's rollouts. Raises `NothingToLearnError`."""
        self._draws.begin()
        return super().sample(*args, **named)

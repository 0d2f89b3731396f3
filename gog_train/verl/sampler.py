"""verl's sampler of a step's rollouts: groups that teach nothing are drawn anew, with an end, and rows have an order.

Source: verl 0.9.1, `verl.trainer.ppo.v1.replay_buffer` and `trainer_base`: a sampler of one's own is not told of
`algorithm.filter_groups`, so the recipe says it in `sampler_kwargs`.
"""

from typing import Any, Final

import transfer_queue as tq  # type: ignore[import-not-found, unused-ignore]
from verl.trainer.ppo.v1.replay_buffer import (  # type: ignore[import-not-found, unused-ignore]
    ReplayBuffer,
    ReplayBufferAsync,
)

from gog_train.verl.draws import Draws, means, thin

TRAIN: Final = "train"
_FIELDS: Final = ("extra_info", "session_id", "extra_fields")


def ending(*, trainer_mode: str, sampler_kwargs: Any, refill_fn: Any, **more: Any) -> Any:
    """The sampler of `trainer.v1.trainer_mode`. `sampler_kwargs`: `filter` (whether), `metric`, `questions` of a step,
    `rollouts` of each, and `batches` of questions more at most.
    """
    questions = int(sampler_kwargs.questions)
    base = ReplayBuffer if trainer_mode == "sync" else ReplayBufferAsync
    return _ending(base, int(sampler_kwargs.rollouts))(
        draws=Draws(refill_fn, int(sampler_kwargs.batches), questions),
        trainer_mode=trainer_mode,
        sampler_kwargs=sampler_kwargs,
        filter_groups_metric=str(sampler_kwargs.metric) if sampler_kwargs.filter else None,
        train_batch_size=questions,
        gen_batch_size=1,
        sync_refill_failed_groups=True,
        **more,
    )


def _ending(base: type[Any], rollouts: int) -> type[Any]:
    """Their sampler with what is ours, for groups of so many rollouts."""

    class Ending(base):
        def __init__(self, *, draws: Draws, **more: Any) -> None:
            super().__init__(refill_fn=draws, **more)
            self._draws = draws

        def _terminal_eviction_reasons(self, global_steps: int, partition_id: str) -> Any:
            """verl's, and groups of which masks left too few: of a single rollout verl's advantage is its score."""
            lone: set[str] = set()
            if partition_id == TRAIN:
                finished = self.finished_keys[partition_id]
                lone = thin(finished, self.partitions[partition_id])
                finished -= lone  # or verl looks for the scores of an empty one
            stale, dull, failed, counts = super()._terminal_eviction_reasons(global_steps, partition_id)
            return stale, dull, failed | lone, counts

        def sample(self, global_steps: int, partition_id: str, batch_size: int) -> Any:
            """A step's rollouts, and what is said of them. Raises `NothingToLearnError`."""
            self._draws.begin()
            batch, said = super().sample(global_steps, partition_id, batch_size)
            if partition_id != TRAIN:
                return batch, said
            rows = tq.kv_batch_get(keys=batch.keys, partition_id=partition_id, select_fields=list(_FIELDS))
            asked, numbers, told = (_listed(rows[name]) for name in _FIELDS)
            # By the order in which rollouts ended, their sums and so the weights would be others each time.
            batch.reorder(sorted(range(len(asked)), key=lambda row: (asked[row]["index"], int(numbers[row]))))
            masked = 1 - len(asked) / (batch_size * rollouts)
            return batch, said | means([one["reward_extra_info"] for one in told]) | {"gog/masked": masked}

    return Ending


def _listed(column: Any) -> list[Any]:
    """A column of a tensordict: a tensor, a stack, or a list of its own kind."""
    return list(column.tolist() if hasattr(column, "tolist") else column)

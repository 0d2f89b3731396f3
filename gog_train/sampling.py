"""Which rows a GRPO training sees, and when: curriculum by level, and fresh groups for those without signal.

A group of rollouts that are all right or all wrong teaches nothing. Dynamic sampling draws other rows for such groups
and puts a batch of the same size together. Source: DAPO, arXiv 2503.14476, "Dynamic Sampling".
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

Curriculum = Literal["mixed", "levels", "phases"]

_LEFT: Final = frozenset({"prompt_ids", "prompt_mask"})
"""Padded on the left to the longest prompt."""
_RIGHT: Final = frozenset(
    {
        *("completion_ids", "completion_mask", "tool_mask", "old_per_token_logps", "ref_per_token_logps"),
        *("sampling_per_token_logps", "importance_sampling_ratio"),
    }
)
"""Padded on the right to the longest completion."""
_IDS: Final = frozenset({"prompt_ids", "completion_ids"})
_LISTS: Final = frozenset({"pixel_values", "image_grid_thw", "num_images"})


def order(levels: Sequence[int], epochs: int, curriculum: Curriculum, seed: int) -> list[int]:
    """Numbers of all rows of all epochs, in the order of the training; `levels` are the rows'.

    mixed: each epoch is a new permutation. levels: in each epoch the easier level comes first. phases: all epochs of
    the easier level come first.
    """
    ranks = [0] * len(levels) if curriculum == "mixed" else list(levels)
    drawn = [
        (rank, epoch, random.Random(f"{seed}/{epoch}/{row}").random(), row)
        for epoch in range(epochs)
        for row, rank in enumerate(ranks)
    ]
    if curriculum == "phases":
        return [row for *_, row in sorted(drawn)]
    return [row for *_, row in sorted(drawn, key=lambda one: (one[1], one[0], one[2], one[3]))]


def draw(levels: Sequence[int], like: Sequence[int], count: int, key: str) -> list[int]:
    """Rows of a batch to take the place of dull ones: as many of each level as `like` has, as far as it repeats.

    `key` decides the draw. Rows are different ones as long as there are enough.
    """
    drawn = []
    by_level: dict[int, list[int]] = {}
    for place in range(count):
        level = like[place % len(like)]
        if not by_level.get(level):
            rows = [row for row, one in enumerate(levels) if one == level]
            by_level[level] = random.Random(f"{key}/{level}/{place}").sample(rows, len(rows))
        drawn.append(by_level[level].pop())
    return drawn


def last_turn(own: Sequence[int]) -> slice:
    """Where the last turn of a rollout stands; `own` is 1 where the policy wrote. Empty where it wrote nothing."""
    end = len(own)
    while end and not own[end - 1]:
        end -= 1
    start = end
    while start and own[start - 1]:
        start -= 1
    return slice(start, end)


def silenced(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The batch with none of its tokens in the loss."""
    return dict(batch) | {"tool_mask": batch["tool_mask"] * 0}


def merge(picked: Sequence[tuple[Mapping[str, Any], int]], group: int, pad_id: int) -> dict[str, Any]:
    """One batch of groups out of several; `picked` names each group by its batch and its number there."""
    import torch
    from trl.trainer.utils import split_pixel_values_by_grid, unsplit_pixel_values_by_grid

    split = {id(batch): split_pixel_values_by_grid(dict(batch)) for batch, _ in picked}
    rows = [(split[id(batch)], row) for batch, number in picked for row in range(number * group, (number + 1) * group)]
    longest = tuple(max(batch[key].shape[1] for batch, _ in rows) for key in ("prompt_ids", "completion_ids"))
    names = [key for key in rows[0][0] if key != "num_items_in_batch"]
    merged: dict[str, Any] = {}
    for key in names:
        values = [_widened(key, batch, row, longest, pad_id) for batch, row in rows]
        merged[key] = values if key in _LISTS else torch.stack(values)
    result: dict[str, Any] = unsplit_pixel_values_by_grid(merged)
    return result


def _widened(key: str, batch: Mapping[str, Any], row: int, longest: tuple[int, ...], pad_id: int) -> Any:
    """A row's tensor, padded as TRL pads it."""
    import torch

    value = batch[key][row]
    before = longest[0] - batch["prompt_ids"].shape[1] if key in _LEFT else 0
    after = longest[1] - batch["completion_ids"].shape[1] if key in _RIGHT else 0
    if (not before and not after) or (key == "importance_sampling_ratio" and value.numel() == 1):
        return value
    fill = pad_id if key in _IDS else 1 if key == "tool_mask" else 0
    return torch.nn.functional.pad(value, (before, after), value=fill)

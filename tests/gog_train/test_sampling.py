"""The order of the training's rows, what takes the place of dull groups, and merged batches."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gog_train.sampling import draw, last_turn, merge, order, silenced

levels = st.lists(st.integers(0, 2), max_size=30)


@given(levels, st.integers(1, 4), st.sampled_from(["mixed", "levels", "phases"]), st.integers(0, 9))
def test_every_row_comes_once_in_every_epoch(rows: list[int], epochs: int, curriculum: Any, seed: int) -> None:
    found = order(rows, epochs, curriculum, seed)
    assert Counter(found) == Counter(dict.fromkeys(range(len(rows)), epochs))
    assert found == order(rows, epochs, curriculum, seed)
    if curriculum == "phases":
        assert [rows[row] for row in found] == sorted(rows * epochs)
        return
    for epoch in range(epochs):
        part = found[epoch * len(rows) : (epoch + 1) * len(rows)]
        assert sorted(part) == list(range(len(rows)))
        if curriculum == "levels":
            assert [rows[row] for row in part] == sorted(rows)


def test_epochs_and_seeds_are_ordered_differently() -> None:
    found = order([2] * 20, 2, "mixed", 0)
    assert found[:20] != found[20:]
    assert found != order([2] * 20, 2, "mixed", 1)


@given(levels, st.lists(st.integers(0, 2), min_size=1, max_size=8), st.integers(1, 12), st.text(max_size=5))
def test_a_draw_has_the_levels_of_what_it_replaces(rows: list[int], like: list[int], count: int, key: str) -> None:
    assume(set(like) <= set(rows))
    drawn = draw(rows, like, count, key)
    assert [rows[row] for row in drawn] == [like[place % len(like)] for place in range(count)]
    assert drawn == draw(rows, like, count, key)
    for level, times in Counter(rows[row] for row in drawn).items():
        if times <= rows.count(level):
            of_level = [row for row in drawn if rows[row] == level]
            assert len(set(of_level)) == times, "no row twice while there are others"


def batch(prompt: int, completion: int, images: list[int], start: int, **more: Any) -> dict[str, Any]:
    """A batch of as many rows as there are counts of images; numbers tell where a value came from."""
    import torch

    count = len(images)
    rows = torch.arange(start, start + count)
    grid = torch.tensor([[1, 2, 2 * (start + row + 1)] for row, shown in enumerate(images) for _ in range(shown)])
    values = {
        "prompt_ids": rows[:, None].expand(count, prompt).clone(),
        "prompt_mask": torch.ones(count, prompt),
        "completion_ids": rows[:, None].expand(count, completion).clone(),
        "completion_mask": torch.ones(count, completion),
        "advantages": rows.float(),
        "num_items_in_batch": torch.tensor(5),
        "image_grid_thw": grid,
        "pixel_values": torch.cat([torch.full((int(one.prod()), 3), float(one[2])) for one in grid]),
        "num_images": images,
        "tool_mask": torch.ones(count, completion),
    }
    return values | more


def test_groups_of_several_batches_become_one() -> None:
    first, other = batch(3, 5, [1, 2, 1, 1], 10), batch(6, 2, [2, 1, 1, 3], 50)
    made = merge([(first, 1), (other, 0), (other, 1)], 2, 99)
    numbers = [12, 13, 50, 51, 52, 53]
    assert next(iter(made)) == "prompt_ids", "TRL reads the size off the first"
    assert made["advantages"].tolist() == numbers
    assert made["prompt_ids"].shape == (6, 6)
    assert made["completion_ids"].shape == made["tool_mask"].shape == (6, 5)
    assert made["prompt_ids"][0].tolist() == [99, 99, 99, 12, 12, 12]
    assert made["prompt_mask"][0].tolist() == [0, 0, 0, 1, 1, 1]
    assert made["completion_ids"][2].tolist() == [50, 50, 99, 99, 99]
    assert made["completion_mask"][2].tolist() == [1, 1, 0, 0, 0]
    assert made["num_images"] == [1, 1, 2, 1, 1, 3]
    assert made["image_grid_thw"][:, 2].tolist() == [2 * (n + 1) for n in (12, 13, 50, 50, 51, 52, 53, 53, 53)]
    assert made["pixel_values"].shape[0] == int(made["image_grid_thw"].prod(1).sum())


def test_a_ratio_of_whole_sequences_stays_one_number() -> None:
    import torch

    first = batch(2, 2, [1, 1], 0, importance_sampling_ratio=torch.tensor([[0.5], [0.6]]))
    other = batch(2, 4, [1, 1], 5, importance_sampling_ratio=torch.tensor([[0.7], [0.8]]))
    made = merge([(first, 0), (other, 0)], 2, 0)
    assert made["importance_sampling_ratio"].flatten().tolist() == pytest.approx([0.5, 0.6, 0.7, 0.8])


def test_a_silent_group_has_no_token_in_the_loss() -> None:
    made = batch(3, 5, [1, 1], 10)
    quiet = silenced(made)
    assert not quiet["tool_mask"].any()
    assert made["tool_mask"].all()
    assert quiet["advantages"] is made["advantages"]


@pytest.mark.parametrize(
    ("own", "wanted"),
    [([1, 1, 0, 0, 1, 1, 1, 0], slice(4, 7)), ([1, 1], slice(0, 2)), ([0, 0], slice(0, 0)), ([], slice(0, 0))],
)
def test_the_last_turn_is_the_last_run_of_own_tokens(own: list[int], wanted: slice) -> None:
    assert last_turn(own) == wanted

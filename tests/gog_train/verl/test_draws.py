"""The end of dynamic sampling."""

import pytest

from gog_train.verl.draws import Draws, NothingToLearnError, means, thin


def test_a_step_asks_for_so_many_more_and_no_further() -> None:
    asked: list[int] = []

    def refill(more: int) -> int:
        asked.append(more)
        return more

    draws = Draws(refill, batches=2, questions=3)
    assert [draws(4), draws(2)] == [4, 2]
    with pytest.raises(NothingToLearnError, match=r"6 further questions .* another level"):
        draws(1)
    draws.begin()
    assert draws(6) == 6
    assert asked == [4, 2, 6]


def test_a_group_of_one_has_nothing_to_be_better_than() -> None:
    rollouts = ["a_0_0", "a_3_0", "b_2_0", "b_2_1", "d_0_0", "d_1_0"]
    assert thin({"a", "b", "c"}, rollouts) == {"b", "c"}


def test_means_have_the_names_of_metrics() -> None:
    assert means([{"acc": 1.0, "format": 0.0}, {"acc": 0.0, "format": 0.0}]) == {"gog/acc": 0.5, "gog/format": 0.0}
    assert means([]) == {}

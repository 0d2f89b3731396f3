"""The end of dynamic sampling."""

import pytest

from gog_train.verl.draws import Draws, NothingToLearnError


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

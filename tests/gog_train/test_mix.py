"""The mix of an epoch follows the shares, leaves nothing out and repeats no row more often than it may."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gog.schemas import Behaviour
from gog_train.mix import MOST, mixed, told


@given(
    st.lists(st.sampled_from([behaviour.value for behaviour in Behaviour]), max_size=60),
    st.dictionaries(st.sampled_from([behaviour.value for behaviour in Behaviour]), st.integers(0, 10), max_size=4),
)
def test_every_row_is_drawn_and_none_too_often(behaviours: list[str], weights: dict[str, int]) -> None:
    shares = {name: weight / max(10, sum(weights.values())) for name, weight in weights.items()}
    numbers = mixed(behaviours, shares)
    assert numbers == sorted(numbers)
    times = Counter(numbers)
    assert set(times) == set(range(len(behaviours)))
    assert all(count <= MOST for count in times.values())
    for name in set(behaviours):
        own = [times[number] for number, behaviour in enumerate(behaviours) if behaviour == name]
        assert name not in shares or max(own) - min(own) <= 1


def test_a_scarce_behaviour_comes_up_to_its_share() -> None:
    behaviours = ["direct"] * 30 + ["gaze"] * 90
    drawn = Counter(behaviours[number] for number in mixed(behaviours, {"direct": 0.435}))
    assert drawn["gaze"] == 90
    assert abs(drawn["direct"] / drawn.total() - 0.435) < 0.01
    assert told(behaviours, mixed(behaviours, {"direct": 0.435})) == "direct 69 of 30 rows, gaze 90 of 90 rows"


def test_a_very_scarce_one_stays_below_it_and_one_that_is_not_wanted_comes_once() -> None:
    behaviours = ["direct"] * 2 + ["gaze"] * 90 + ["text"]
    drawn = Counter(behaviours[number] for number in mixed(behaviours, {"direct": 0.5, "gaze": 0.5}))
    assert drawn == {"direct": 2 * MOST, "gaze": 90, "text": 1}


def test_without_shares_an_epoch_is_every_row_once() -> None:
    assert mixed(["direct", "gaze"], {}) == [0, 1]

"""A term of the reward that random questions have a gradient by: 1 where the answer is 3."""

from gog_train.rewards.terms import Finished, Term


def _value(rollout: Finished) -> float:
    return float(rollout.answer == "3")


THREES = Term("threes", _value, 1.0)

"""Takes a price off the reward for each search that came back."""

from gog_train.rewards.terms import Finished, Term


def cost(rollout: Finished) -> float:
    """The number of searches, below zero."""
    return float(-rollout.searches)


TERM = Term("cost", cost)

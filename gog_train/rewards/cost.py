"""Takes a price off the reward of a right answer for each search that came back.

Off that of any, a wrong answer without a search would be worth more than one that looked: searching is not the mistake.
"""

from gog.schemas import Outcome
from gog_train.rewards.terms import Finished, Term


def cost(rollout: Finished) -> float:
    """The number of searches, below zero; 0 unless the answer is right."""
    return float(-rollout.searches) if rollout.outcome is Outcome.CORRECT else 0.0


TERM = Term("cost", cost)

"""1 for a right answer, by the verifier that filters the data: rules first, then the judge."""

from gog.schemas import Outcome
from gog_train.rewards.terms import Finished, Term


def accuracy(rollout: Finished) -> float | None:
    """1 or 0; None where nobody could settle the answer."""
    return None if rollout.outcome is Outcome.UNKNOWN else float(rollout.outcome is Outcome.CORRECT)


TERM = Term("accuracy", accuracy)

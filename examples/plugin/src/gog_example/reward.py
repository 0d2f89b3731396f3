"""A reward term: a short answer is worth a little more. In a training's config: `rewards: {brevity: 0.05}`."""

from gog_train.rewards.terms import Finished, Term


def value(rollout: Finished) -> float:
    """1 for an answer of five words or fewer, 0 otherwise."""
    return float(rollout.answer is not None and len(rollout.answer.split()) <= 5)


brevity = Term("brevity", value)

"""A filter: short answers teach a model to guess, so what was answered in one letter leaves."""

from gog.schemas import Seed, Trajectory, Verdict
from gog.transforms.filters.use import Filter


def no_single_letters(seed: Seed, trajectory: Trajectory, verdict: Verdict) -> str | None:
    """Why the trajectory should leave, or None to keep it."""
    answer = (trajectory.answer or "").strip()
    return f"the answer is {answer!r}" if len(answer) == 1 and answer.isalpha() else None


NO_SINGLE_LETTERS = Filter("no_single_letters", "verify", no_single_letters)

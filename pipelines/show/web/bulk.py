"""Accepting in bulk what rule and judge agree on, once a sample of it has been looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from gog.schemas import Decision, Review
from gog.transforms.evaluate.share import Share


@dataclass(frozen=True, slots=True)
class Bulk:
    """How far the sample has come."""

    number: int
    """Trajectories that rule and judge agree on."""
    sample: tuple[str, ...]
    """Those to look at, by id; more where some of them were wrong."""
    decided: int
    errors: Share
    """Of the sample, what people reject, of what they decided."""
    left: dict[str, str]
    """What nobody has decided on, outside of the sample: trajectories with their seeds."""
    most: float
    """The highest share of errors that is wanted."""
    accepted: int
    """What this person has accepted in bulk so far."""

    @property
    def proven(self) -> bool:
        """Whether the sample is through, and the upper end of its interval low enough."""
        whole = len(self.sample) == self.number or (self.errors.high is not None and self.errors.high <= self.most)
        return 0 < self.decided == len(self.sample) and whole

    @property
    def advice(self) -> str:
        """What is to be done next, in a sentence."""
        if not self.number:
            return "there is nothing that rule and judge agree on"
        if self.decided < len(self.sample):
            return f"decide on {len(self.sample) - self.decided:,} more of the sample first"
        if not self.proven:
            return f"too many are wrong for an error of at most {self.most:.0%}: review the rest one by one"
        return f"the error is at most {self.most:.0%}, so far as a sample can tell"


def sample_size(most: float, wrong: int = 0) -> int:
    """The smallest sample in which so many errors still leave the 95% interval at or under `most`."""
    number = max(wrong, 1)
    while (Share.of(wrong, number).high or 1.0) > most:
        number += 1
    return number


def bulk_of(
    agreed: Sequence[tuple[str, str]], reviews: Mapping[str, Mapping[str, Review]], most: float, who: str
) -> Bulk:
    """The state of a sample of `agreed` (ids of trajectories and seeds, in the order in which chance drew them).

    Each error in the sample makes it longer, until the interval says what is wanted or all have been looked at.
    """
    # What stands in the sample depends on the errors in it, and these on what stands in it: begin without errors.
    wrong, size = -1, 0
    while True:
        size = min(len(agreed), sample_size(most, max(wrong, 0)))
        sample = [name for name, _ in agreed[:size]]
        said = [decisions for name in sample if (decisions := _looked_at(reviews.get(name, {})))]
        found = sum(Decision.REJECT in decisions for decisions in said)
        if found <= wrong or size == len(agreed):
            break
        wrong = found
    drawn = set(sample)
    left = {
        name: seed
        for name, seed in agreed
        if name not in drawn and not any(r.decision is not None for r in reviews.get(name, {}).values())
    }
    accepted = sum(by[who].bulk for by in reviews.values() if who in by)
    return Bulk(len(agreed), tuple(sample), len(said), Share.of(found, len(said)), left, most, accepted)


def rate_by_chance(drawn: Sequence[str], reviews: Mapping[str, Mapping[str, Review]]) -> Share:
    """The share that people reject, by what is decided at the beginning of an order of chance.

    It ends at the first on which nobody decided: what comes behind was picked, or passed over, for a reason.
    """
    decisions = takewhile(bool, (_looked_at(reviews.get(name, {})) for name in drawn))
    wrong = [Decision.REJECT in said for said in decisions]
    return Share.of(sum(wrong), len(wrong))


def _looked_at(reviews: Mapping[str, Review]) -> list[Decision]:
    return [review.decision for review in reviews.values() if review.decision is not None and not review.bulk]

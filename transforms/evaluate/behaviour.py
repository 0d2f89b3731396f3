"""How a policy searched: what kinds of search, how often a gaze helped, what it did when one did not, what it took."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gog.schemas import Behaviour, Evidence, Reflection, Trajectory
from gog.transforms.episode.steps import by_turn
from gog.transforms.evaluate.share import Share
from gog.transforms.services.gateway.prices import Price
from gog.transforms.verify.grounding import names_target, searched


@dataclass(frozen=True, slots=True)
class Gaze:
    """A gaze that came back: whether its evidence names the target, and what the turn after it said.

    `judged` is None where no turn came after, or where it said nothing of the evidence; `followed` tells these apart.
    """

    useful: bool
    followed: bool
    judged: Reflection | None


@dataclass(frozen=True, slots=True)
class Course:
    """What the measures need of an episode: small, so that those of a whole benchmark can be held."""

    behaviour: Behaviour
    turns: int
    answered: bool
    searches: tuple[tuple[str, int], ...]
    """Providers that were searched, and how often."""
    gazes: tuple[Gaze, ...]
    """Empty where nobody knows the target."""
    prompt_tokens: int
    completion_tokens: int


def course_of(trajectory: Trajectory, evidence: Iterable[Evidence], targets: tuple[str, ...]) -> Course:
    """The course of an episode; `targets` are the names by which evidence may name what the question is about."""
    by_id = {one.evidence_id: one for one in evidence}
    providers = [by_id[key].provider for step in trajectory.steps for key in step.evidence_ids]
    return Course(
        behaviour=trajectory.behaviour,
        turns=len(by_turn(trajectory.steps)),
        answered=trajectory.answer is not None,
        searches=tuple(sorted(Counter(filter(None, providers)).items())),
        gazes=tuple(_gazes(trajectory, by_id, targets)) if targets else (),
        prompt_tokens=trajectory.prompt_tokens,
        completion_tokens=trajectory.completion_tokens,
    )


def _gazes(trajectory: Trajectory, by_id: Mapping[str, Evidence], targets: tuple[str, ...]) -> Iterator[Gaze]:
    turns = by_turn(trajectory.steps)
    for number, turn in enumerate(turns, 1):
        followed = number < len(turns)
        judged = turns[number][0].reflection if followed else None
        for step in turn:
            seen = [by_id[key] for key in step.evidence_ids]
            if step.box is not None and searched(seen):
                yield Gaze(any(names_target(targets, one) for one in seen), followed, judged)


@dataclass(frozen=True, slots=True)
class Behaviours:
    """Of one policy over one benchmark under one paradigm; episodes that the outside broke are not in it."""

    episodes: int
    mix: Mapping[str, Share]
    """Kinds of search that came back: direct is none, mixed several."""
    no_answer: Share
    turns: float | None
    """Mean turns of an episode."""
    searches: float | None
    """Mean searches that came back."""
    gaze_useful: Share
    """Gazes whose evidence names the target, of those where the target is known."""
    reflected: Share
    """Gazes that missed after which the policy said so, of those with a turn after them."""
    tokens: float | None
    """Mean tokens of an episode that the policy read and wrote, whether they were bought or came from the store."""
    cost: float | None
    """Mean list price of an episode in US dollars: the policy's tokens and the searches, whoever paid for them. Pages
    that were read are not in it, nor the judge. None where a price is unknown."""


def behaviours(courses: Iterable[Course], policy: Price | None, searches: Mapping[str, Price | None]) -> Behaviours:
    """The measures over episodes of one benchmark and paradigm; prices are the policy's and, by provider, searches'."""
    courses = list(courses)
    mix = Counter(course.behaviour for course in courses)
    gazes = [gaze for course in courses for gaze in course.gazes]
    missed = [gaze for gaze in gazes if not gaze.useful and gaze.followed]
    asked = Counter[str]()
    for course in courses:
        asked.update(dict(course.searches))
    read, written = sum(course.prompt_tokens for course in courses), sum(course.completion_tokens for course in courses)
    turns = sum(course.turns for course in courses)
    costs = [None if policy is None else policy.cost(read, written) + policy.per_call * (turns - 1)]
    for provider, times in sorted(asked.items()):
        price = searches.get(provider)
        costs.append(None if price is None else price.per_call * times)
    known = [cost for cost in costs if cost is not None]
    return Behaviours(
        episodes=len(courses),
        mix={kind.value: Share.of(mix[kind], len(courses)) for kind in Behaviour},
        no_answer=Share.of(sum(not course.answered for course in courses), len(courses)),
        turns=_mean(turns, len(courses)),
        searches=_mean(asked.total(), len(courses)),
        gaze_useful=Share.of(sum(gaze.useful for gaze in gazes), len(gazes)),
        reflected=Share.of(sum(gaze.judged in _NOTICED for gaze in missed), len(missed)),
        tokens=_mean(read + written, len(courses)),
        cost=_mean(sum(known), len(courses)) if len(known) == len(costs) else None,
    )


_NOTICED = (Reflection.OFF_TARGET, Reflection.AMBIGUOUS)


def _mean(total: float, count: int) -> float | None:
    return total / count if count else None

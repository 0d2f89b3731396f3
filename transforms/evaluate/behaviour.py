"""How a policy searched: what kinds of search, how often a gaze helped, what it did when one did not."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gog.schemas import Behaviour, Evidence, Reflection, Step, Tool
from gog.transforms.complexity import wilson
from gog.transforms.evaluate.answered import Answered
from gog.transforms.verify.grounding import hits_text, literal


@dataclass(frozen=True, slots=True)
class Share:
    """`part` of `whole`, with its 95% Wilson interval; None where there is nothing to divide by."""

    part: int
    whole: int
    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, part: int, whole: int) -> "Share":
        """The share."""
        if not whole:
            return cls(part, whole, None, None, None)
        low, high = wilson(part, whole)
        return cls(part, whole, part / whole, low, high)


@dataclass(frozen=True, slots=True)
class Behaviours:
    """Of one policy over one benchmark under one paradigm; episodes that broke are counted in `failed` alone."""

    episodes: int
    failed: int
    """Broken by the outside."""
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
    prompt_tokens: int
    completion_tokens: int


def behaviours(rows: Iterable[Answered]) -> Behaviours:
    """The measures over the rows of one benchmark and paradigm."""
    rows = list(rows)
    acted = [(row, row.trajectory) for row in rows if row.trajectory is not None]
    mix = Counter(trajectory.behaviour for _, trajectory in acted)
    gazes = [gaze for row in rows for gaze in _gazes(row)]
    missed = [after for useful, after in gazes if not useful and after is not None]
    found = sum(len(step.evidence_ids) for _, trajectory in acted for step in trajectory.steps)
    turns = sum(len(trajectory.steps) for _, trajectory in acted)
    return Behaviours(
        episodes=len(acted),
        failed=len(rows) - len(acted),
        mix={kind.value: Share.of(mix[kind], len(acted)) for kind in Behaviour},
        no_answer=Share.of(sum(trajectory.answer is None for _, trajectory in acted), len(acted)),
        turns=turns / len(acted) if acted else None,
        searches=found / len(acted) if acted else None,
        gaze_useful=Share.of(sum(useful for useful, _ in gazes), len(gazes)),
        reflected=Share.of(sum(after.reflection in _NOTICED for after in missed), len(missed)),
        prompt_tokens=sum(trajectory.prompt_tokens for _, trajectory in acted),
        completion_tokens=sum(trajectory.completion_tokens for _, trajectory in acted),
    )


_NOTICED = (Reflection.OFF_TARGET, Reflection.AMBIGUOUS)


def _gazes(row: Answered) -> Iterator[tuple[bool, Step | None]]:
    """Each gaze that came back: whether its evidence names the target, and the turn after it."""
    trajectory, by_id = row.trajectory, {one.evidence_id: one for one in row.evidence}
    names = row.targets
    if trajectory is None or not names:
        return
    steps = (*trajectory.steps, None)
    for step, after in zip(trajectory.steps, steps[1:], strict=True):
        if step.action == Tool.GAZE.value and step.evidence_ids:
            yield any(_names(by_id[key], names) for key in step.evidence_ids), after


def _names(evidence: Evidence, names: tuple[str, ...]) -> bool:
    return literal(names, hits_text([evidence]))

"""Grounding: does what the searches returned support the answer, and did a gaze find its target?"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from gog.schemas import AnswerType, Evidence, Hit, Seed, Trajectory
from gog.transforms.verify.normalise import contains, normalise, unspaced
from gog.transforms.verify.rules import strip_lead_in

MAX_CHARS: Final = 12_000
"""Characters of evidence that a judge is shown."""


def evidence_of(trajectory: Trajectory, evidence_by_id: Mapping[str, Evidence]) -> tuple[Evidence, ...]:
    """The evidence of a trajectory in the order of its steps; `KeyError` names an id that is missing."""
    return tuple(evidence_by_id[key] for step in trajectory.steps for key in step.evidence_ids)


def evidence_text(evidence: Iterable[Evidence], limit: int = MAX_CHARS) -> str:
    """What the tools returned, as text: a head for each call, then title and snippet of each hit, best first.

    A call that failed or found nothing leaves no text. Beyond `limit` characters each call keeps an equal share.
    """
    blocks = [_block(one) for one in evidence if one.hits and one.failure is None]
    if sum(map(len, blocks)) > limit and blocks:
        share = limit // len(blocks)
        blocks = [block[:share] for block in blocks]
    return "\n".join(blocks)


def _block(evidence: Evidence) -> str:
    head = f"{evidence.tool}: {evidence.query}" if evidence.query else f"{evidence.tool}"
    return "\n".join([head, *(_hit_text(hit.title, hit.snippet) for hit in evidence.hits)])


def _hit_text(title: str, snippet: str) -> str:
    return f"- {title}: {snippet}" if snippet else f"- {title}"


def hits_text(evidence: Iterable[Evidence]) -> str:
    """Titles and snippets alone: what was found, without what was asked for."""
    return "\n".join(_hit_text(hit.title, hit.snippet) for one in evidence for hit in one.hits)


def literal(forms: Iterable[str], text: str) -> bool:
    """Whether a form of the answer stands word for word (normalised) in the text. A flag, no verdict."""
    haystack = normalise(text)
    return any(contains(haystack, form) for raw in forms for form in {normalise(raw), normalise(strip_lead_in(raw))})


def searched(evidence: Iterable[Evidence]) -> bool:
    """Whether any search came back. Calls that were malformed or failed left no evidence, and a crop that was only
    shown is none that words are grounded in.
    """
    return any(one.provider for one in evidence)


def names_target(names: Sequence[str], evidence: Evidence) -> bool:
    """Whether the leading hits of a look name the target.

    The others are what looks alike: among the five nearest flags the target's is often one, wherever a gaze looked.
    """
    return literal(names, hits_text([evidence.model_copy(update={"hits": leading(evidence.hits)})]))


def leading(hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """The best hit and those that score as high (to a hundredth); the first three where a service gives no scores."""
    best = hits[0].score if hits else None
    if best is None:
        return tuple(hits[:3])
    return tuple(hit for hit in hits if hit.score is not None and hit.score >= best - 0.01 * abs(best))


def gaze_useful(trajectory: Trajectory, seed: Seed, evidence_by_id: Mapping[str, Evidence]) -> bool | None:
    """Whether the evidence of any gaze, a look at a region that searched, names the target.

    None without a gaze that came back, and when the seed names no target.
    """
    looks = [evidence_by_id[key] for step in trajectory.steps if step.box is not None for key in step.evidence_ids]
    gazes = [look for look in looks if look.provider]
    if not gazes or not target_names(seed):
        return None
    return any(names_target(target_names(seed), gaze) for gaze in gazes)


def target_names(seed: Seed) -> tuple[str, ...]:
    """Names of what is to be looked at. An answer is none: the capital is not the flag."""
    return (seed.entity,) if seed.entity else ()


def answer_names(seed: Seed) -> tuple[str, ...]:
    """Accepted answers that are names; a search that finds one may have found the target."""
    return tuple(form for form in seed.answers if seed.answer_type is AnswerType.STRING and _is_name(normalise(form)))


def _is_name(form: str) -> bool:
    return any(char.isalpha() for char in form) and len(form) >= (2 if unspaced(form) else 3)

"""The focus of a composed plan: the search that looked at what the question is about.

It is known, or there is no plan that needs one: a hit's title names the entity of the seed, clearly; where the seed
names none, or several places or a tiny one might be it, the judge says which search it was, from what came back; where
the seed names none and the judge cannot say, it is the one place whose best hit is titled with an accepted answer.
"""

import re
from collections.abc import Sequence
from typing import Final

from gog.prompts import render
from gog.schemas import Seed
from gog.schemas.boxes import Box
from gog.schemas.reasons import STOP_REASONS
from gog.transforms.dialect.observations import neutralise, one_line
from gog.transforms.dialect.replies import object_in
from gog.transforms.episode.trajectory import images_of
from gog.transforms.services.protocols import ServiceError
from gog.transforms.synthesize.look import Looked
from gog.transforms.synthesize.services import Services
from gog.transforms.verify.grounding import answer_names, leading, target_names
from gog.transforms.verify.judge import cut_off, judge_request
from gog.transforms.verify.normalise import normalise

_CLEAR: Final = 0.1
"""By how much the score of a find is above that of the next thing: a look-alike is nearer."""
_LEAST_SIDE: Final = 64
"""Pixels of a crop's shorter side; what a smaller one finds may be chance."""
_TITLES: Final = 3
"""Hits of a search that the judge is told of."""
_SITE: Final = re.compile(r"\s+[-–—|·]\s+")
"""Between the title of a page and the name of its site."""


async def find_focus(services: Services, seed: Seed, looked: Sequence[Looked]) -> tuple[Looked | None, str]:
    """The search that looked at the target, or None with why it is not known.

    Raises `ServiceError` where the run has stopped before the judge could be asked.
    """
    if target_names(seed):
        named = [look for look in looked if look.titles_target]
        if not named:
            return None, f"no search named {one_line(seed.entity or '')!r} in the title of a leading hit"
        best = max(named, key=_preferred)
        if _clear(seed, best) and all(look.overlaps(best) or look.score < best.score - _CLEAR for look in named):
            return best, ""
        looked = named
    found = [look for look in looked if look.evidence.hits]
    if not found:
        return None, "no search found anything"
    judged = await _judged(services, seed, found)
    if judged is not None:
        if not judged:
            return None, "the judge saw none that looked at what is asked about"
        if target_names(seed) or _clear(seed, found[judged - 1]):
            return found[judged - 1], ""
        return None, "the search that the judge named found nothing that stands out"
    titled = [look for look in found if _titled(seed, look) and _clear(seed, look)]
    best = max(titled, key=_preferred, default=found[0])
    if titled and not target_names(seed) and all(look.overlaps(best) for look in titled):
        return best, ""
    if target_names(seed):
        return None, f"{len(found)} searches may have found {one_line(seed.entity or '')!r}, none of them clearly"
    return None, "nothing says which search looked at what is asked about: give the seeds an `entity`, or a judge"


def _preferred(look: Looked) -> tuple[float, bool]:
    return look.score, look.region is None


def _clear(seed: Seed, look: Looked) -> bool:
    """Whether what a search found stands out: of a crop that shows something, and above all hits of another title."""
    if look.region is not None:
        box = look.region.box
        picture = images_of(seed)[look.on_image]
        if min((box.x2 - box.x1) * picture.width, (box.y2 - box.y1) * picture.height) < _LEAST_SIDE:
            return False
    first = look.evidence.hits[0]
    return all(
        first.score is None or hit.score is None or hit.title == first.title or hit.score < first.score - _CLEAR
        for hit in look.evidence.hits[1:]
    )


def _titled(seed: Seed, look: Looked) -> bool:
    """Whether the best hit is titled with an accepted answer, a site's name aside."""
    titles = {normalise(_SITE.split(hit.title)[0]) for hit in look.evidence.hits[:1]}
    return bool(titles & {normalise(name) for name in answer_names(seed)})


async def _judged(services: Services, seed: Seed, looked: Sequence[Looked]) -> int | None:
    """The number of the search that the judge names, from 1; 0 for none of them; None where nothing can be read."""
    looks = [{"place": _place(seed, look), "titles": _said(look)} for look in looked]
    prompt = render(
        "compose/focus",
        question=one_line(seed.question),
        answers=" | ".join(one_line(answer) for answer in seed.answers),
        looks=looks,
    )
    try:
        reply = await services.gateway.chat(services.judge, judge_request(prompt), "compose")
    except ServiceError as error:
        if error.failure in STOP_REASONS:
            raise
        return None
    return None if cut_off(reply) else parse_look(reply.message.text, len(looked))


def _place(seed: Seed, look: Looked) -> str:
    words = place_words(look.region.box if look.region else None)
    return f"image {look.on_image}, {words}" if seed.further_images else words


def _said(look: Looked) -> str:
    titles = [hit.title for hit in leading(look.evidence.hits)] or [hit.title for hit in look.evidence.hits]
    return neutralise(one_line("; ".join(titles[:_TITLES])))


def parse_look(text: str, searches: int) -> int | None:
    """The number that a judge's reply names, 0 for its `null`; None where no JSON object names one search."""
    loaded = object_in(text)
    if loaded is None or "look" not in loaded:
        return None
    look = loaded["look"]
    if look is None:
        return 0
    if isinstance(look, str) and look.isascii() and look.isdigit():
        look = int(look[:9])
    return look if isinstance(look, int) and not isinstance(look, bool) and 1 <= look <= searches else None


def place_words(box: Box | None) -> str:
    """Where a region lies, for somebody who does not see it: the third of the image that its middle is in."""
    if box is None:
        return "the whole image"
    x, y = box.centre
    down, across = ("top", "middle", "bottom")[min(2, int(3 * y))], ("left", "centre", "right")[min(2, int(3 * x))]
    words = "centre" if (down, across) == ("middle", "centre") else f"{down} {across}"
    left, top, right, bottom = (round(100 * side) for side in box)
    return f"{words} ({left} to {right}% from the left, {top} to {bottom}% from the top)"

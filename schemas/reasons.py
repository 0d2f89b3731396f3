"""Why a row left, or why a call failed: the closed lists of codes.

A reject's reason is `stage.cause`. Anything that can leave the engine has its code here, so that a typo is an
error and the documentation can be complete. Only filters that users add have names of their own: `filter.NAME`.
"""

import re
from enum import StrEnum
from typing import Final

REASONS: dict[str, str] = {
    "ingest.bad_row": "the row misses a column, has a wrong type, or its text is empty, enormous or not UTF-8",
    "ingest.image_unreadable": "the image is missing, truncated or not an image",
    "ingest.image_unavailable": "the image's address did not give it this time: the next run asks again",
    "ingest.image_gone": "the image's address has no image for us: not found, forbidden, or not a public address",
    "ingest.image_bomb": "the image would decode to more pixels than the limit, or its file is larger than the limit",
    "ingest.image_tiny": "a side of the image is shorter than the limit",
    "ingest.image_blank": "the image is of one colour: there is nothing to see in it",
    "ingest.too_many_images": "the question is about more pictures than `episode.question_images` allows",
    "ingest.no_answer": "the row has no answer",
    "ingest.duplicate": "the same question, answers and image were read before, or the id is taken",
    "ingest.near_duplicate": "image and question are near-copies of an earlier seed's",
    "ingest.benchmark_overlap": "image or question is in a benchmark",
    "ingest.forgotten": "it was forgotten on request: `gog forget` keeps it out",
    "ingest.licence": "the licence is not on the list of allowed ones",
    "screen.too_easy": "right without tools in every pass: the seed went to the easy pool",
    "screen.teacher_failed": "the teacher could not be asked",
    "episode.out_of_turns": "the turns ran out before an answer",
    "episode.strikes": "too many malformed calls",
    "episode.cut": "a training cut it off: its tokens ran out, or it wrote what no turn may hold",
    "compose.off_plan": "the teacher did not follow the plan",
    "compose.no_plan": "no plan fits what the searches returned",
    "teacher.refused": "the teacher refused",
    "teacher.timeout": "the teacher did not answer in time",
    "teacher.failed": "the teacher could not be asked",
    "search.failed": "a search or a tool failed",
    "store.miss": "replay mode, and the answer is not in the store",
    "budget.reached": "the budget's ceiling was reached",
    "judge.ill": "the judge failed or could not be read, many times in a row, so the run stopped",
    "setup.wrong": "a service refused all calls alike, so the run stopped: its key, model, quota or options are wrong",
    "verify.wrong": "the answer is wrong",
    "verify.unknown": "the judge failed, so nobody knows",
    "verify.ungrounded": "the evidence does not entail the answer",
    "verify.leaked": "the reasoning names a hint, a plan or the gold answer before evidence did",
    "curate.not_best": "other right attempts of the seed were better",
    "curate.off_focus": "composed, and its gaze is of another place than that of all right rollouts of the seed",
    "curate.near_duplicate": "another kept trajectory asks nearly the same of nearly the same image",
    "curate.benchmark_overlap": "a page or crop is in a benchmark",
    "curate.over_quota": "its behaviour has filled its share",
    "curate.reserved_for_rl": "its group of seeds is set aside for reinforcement learning",
    "export.too_long": "longer than the length budget",
    "export.coordinates_in_text": "coordinates in the reasoning do not convert to the backbone's frame",
    "export.frame": "the trajectory does not come out the same in the backbone's frame",
    "export.untrained": "its last turn may not be learned, which the format cannot say",
    "export.image_missing": "a picture of it is not in the lake",
    "export.level": "its level is not wanted",
    "export.review_rejected": "people rejected it",
    "export.review_disputed": "one person accepted it and another rejected it",
    "export.not_reviewed": "only what people accepted is wanted, and nobody has decided on it",
    "filter.NAME": "the filter of that name did not want it; the detail is its words",
    "label.unsolvable": "no try passed and no verified trajectory exists",
    "label.unknown": "too few tries could be settled",
}

_FILTER: Final = re.compile(r"filter\.[A-Za-z_]\w*")


def is_reason(code: str) -> bool:
    """Whether something may leave with this code."""
    return code in REASONS or _FILTER.fullmatch(code) is not None


OUTSIDE = frozenset(
    {
        "screen.teacher_failed",
        "teacher.timeout",
        "teacher.failed",
        "search.failed",
        "verify.unknown",
        "label.unknown",
    }
)
"""Reasons that blame something outside, and that `gog retry` may get over."""


class FailureClass(StrEnum):
    """What went wrong with a call to the outside world."""

    TIMEOUT = "timeout"
    """No answer in time (also 408 and 504)."""
    RATE_LIMITED = "rate_limited"
    """Too many requests (429)."""
    OVERLOADED = "overloaded"
    """The service says that it has too much to do (503, 529)."""
    SERVER = "server"
    """The service failed (other 5xx)."""
    NETWORK = "network"
    """No connection, or one that broke."""
    MALFORMED = "malformed"
    """An answer that cannot be read."""
    REFUSED = "refused"
    """The service will not answer this: its policy on content."""
    BAD_REQUEST = "bad_request"
    """The service does not take such a request (400 and its like)."""
    AUTH = "auth"
    """No key, a wrong one, or an account without money."""
    NOT_FOUND = "not_found"
    """There is no such page, model or picture."""
    BUDGET = "budget"
    """A ceiling of the budget was reached."""
    STORE_MISS = "store_miss"
    """A replay has no such answer."""
    JUDGE_ILL = "judge_ill"
    """The judge gave no verdicts, too many times in a row."""
    SETUP = "setup"
    """The service refuses all that is asked: an address, model or key is wrong."""

    @property
    def permanent(self) -> bool:
        """Whether asking again would be answered the same: such failures are kept and never paid for twice."""
        return self in _PERMANENT

    @property
    def passing(self) -> bool:
        """Whether a retry may help."""
        return self in _PASSING

    @property
    def unasked(self) -> bool:
        """Whether the run had stopped buying: that says nothing of what was to be asked, and a later run goes on."""
        return self in STOP_REASONS


STOP_REASONS: Final = {
    FailureClass.BUDGET: "budget.reached",
    FailureClass.STORE_MISS: "store.miss",
    FailureClass.JUDGE_ILL: "judge.ill",
    FailureClass.SETUP: "setup.wrong",
}
"""Reasons to leave that say nothing of the unit: the run stopped buying, and a later run goes on with it."""
_PERMANENT = frozenset({FailureClass.REFUSED, FailureClass.BAD_REQUEST, FailureClass.NOT_FOUND})
_PASSING = frozenset(
    {
        FailureClass.TIMEOUT,
        FailureClass.RATE_LIMITED,
        FailureClass.OVERLOADED,
        FailureClass.SERVER,
        FailureClass.NETWORK,
        FailureClass.MALFORMED,
    }
)

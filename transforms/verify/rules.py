"""The rules that settle an answer without asking anybody: cheap enough to be a reward.

Names are only ever confirmed: another wording may be right, so what matches no accepted form is left to the judge.
Numbers, dates and yes or no are settled both ways where the answer is plainly one. An answer that lists several
candidates is never right by rule.
"""

import math
import re
from collections.abc import Sequence
from typing import Final, Protocol

from gog.schemas import AnswerType, Method, Outcome
from gog.transforms.verify import numbers
from gog.transforms.verify.dates import compare_dates, parse_dates
from gog.transforms.verify.normalise import fold, normalise, squeezed

Checked = tuple[Outcome, Method]

UNSETTLED: Final[Checked] = (Outcome.UNKNOWN, Method.NONE)


MAX_CHARS: Final = 1000
"""A longer answer is no short answer: no rule reads it."""


class Gold(Protocol):
    """What an answer is compared with; a `Seed` is one."""

    @property
    def answers(self) -> tuple[str, ...]:
        """Every accepted form."""

    @property
    def answer_type(self) -> AnswerType:
        """How answers are compared."""

    @property
    def answer_unit(self) -> str:
        """Unit of a number whose accepted forms name none."""

    @property
    def answer_low(self) -> float | None:
        """Least accepted number."""

    @property
    def answer_high(self) -> float | None:
        """Greatest accepted number."""


_LEAD_IN: Final = re.compile(
    r"^(?:(?:so|thus|therefore|hence|well|ok|okay),?\s+)?"
    r"(?:(?:the|my)\s+)?(?:(?:final|short|correct)\s+)?answer(?:\s+is|\s*:)\s*(?:that\s+)?(?:(?:it|this)\s+is\s+)?:?"
    r"|^(?:it|this|that|he|she)(?:\s+is|\s+was|['’]s)\s+(?:called\s+|named\s+)?"
    r"|^(?:they|these|those)(?:\s+are|\s+were|['’]re)\s+"
    r"|^there\s+(?:is|are|was|were)\s+",
    re.IGNORECASE,
)
_ABSTAINED: Final = frozenset(
    normalise(phrase)
    for phrase in (
        *("i don't know", "i do not know", "don't know", "unknown", "not known", "n/a", "unclear", "?"),
        *("not sure", "i am not sure", "i'm not sure", "no idea", "i have no idea", "no answer", "not available"),
        *("cannot be determined", "it cannot be determined", "cannot determine", "can't be determined"),
        *("unable to determine", "i cannot answer", "i can't answer"),
        *("insufficient information", "not enough information"),
    )
)
_YES: Final = frozenset({"yes", "yeah", "yep", "yup", "true", "correct", "affirmative"})
_NO: Final = frozenset({"no", "nope", "nah", "false", "incorrect", "negative"})
_YES_NO_START: Final = re.compile(r"(yes|yeah|yep|yup|no|nope|nah)\s*[,.;:!-]\s*\S")


def check(answer: str | None, gold: Gold, *, closed: bool = False) -> Checked:
    """Outcome of an answer by rule, and the method that settled it.

    `UNKNOWN` means that no rule could tell, and a judge should be asked. An empty answer and one that abstains
    ("I don't know") are wrong. With `closed`, what matches no accepted form is wrong: exact match, as some
    benchmarks score, and as a world whose names are all known may.
    """
    if answer is None or not answer.strip():
        return Outcome.WRONG, Method.NONE
    answer = answer.strip()
    if len(answer) > MAX_CHARS:
        return (Outcome.WRONG, Method.EXACT) if closed else UNSETTLED
    exact = _exact(answer, gold.answers)
    if exact is not None:
        return Outcome.CORRECT, exact
    if normalise(answer) in _ABSTAINED:
        return Outcome.WRONG, Method.NONE
    settled = _typed(strip_lead_in(answer), gold)
    if settled[0] is Outcome.UNKNOWN and closed:
        return Outcome.WRONG, Method.EXACT
    return settled


def _typed(answer: str, gold: Gold) -> Checked:
    match gold.answer_type:
        case AnswerType.YES_NO:
            return _check_yes_no(answer, gold)
        case AnswerType.NUMBER:
            return _settled(check_number(answer, gold), Method.NUMBER)
        case AnswerType.DATE:
            return _settled(check_date(answer, gold), Method.DATE)
        case AnswerType.STRING:
            # Many sources call everything a string: the same rules may then confirm, never refuse.
            if check_date(answer, gold) is Outcome.CORRECT:
                return Outcome.CORRECT, Method.DATE
            if _same_bare_number(answer, gold.answers):
                return Outcome.CORRECT, Method.NUMBER
            return UNSETTLED


def _settled(outcome: Outcome, method: Method) -> Checked:
    return UNSETTLED if outcome is Outcome.UNKNOWN else (outcome, method)


def strip_lead_in(answer: str) -> str:
    """The answer without "The answer is", "It is" and the like at its start, if anything is left."""
    text = answer.strip().strip('*`"“”').strip()
    for _ in range(2):
        text = _LEAD_IN.sub("", text, count=1).strip().strip('*`"“”').strip() or text
    return text


def _exact(answer: str, accepted: Sequence[str]) -> Method | None:
    forms = {normalise(answer), normalise(strip_lead_in(answer))}
    tight = {squeezed(form) for form in forms}
    for position, form in enumerate(accepted):
        for wanted in (normalise(form), normalise(strip_lead_in(form))):
            if wanted and (wanted in forms or squeezed(wanted) in tight):
                return Method.ALIAS if position else Method.EXACT
    return None


def yes_or_no(text: str) -> bool | None:
    """True for yes, False for no, None when the text is not plainly one of them."""
    folded = " ".join(fold(text[:400]).split()).strip(" .!,*`\"'")
    if folded in _YES or folded in _NO:
        return folded in _YES
    start = _YES_NO_START.match(folded)
    if start is None:
        return None
    yes = start[1] in _YES
    others = set(re.findall(r"\w+", folded[start.end(1) :])) & (_NO if yes else _YES)
    return None if others else yes


def _check_yes_no(answer: str, gold: Gold) -> Checked:
    wanted = {yes_or_no(form) for form in gold.answers} - {None}
    given = yes_or_no(answer)
    if len(wanted) != 1 or given is None:
        return UNSETTLED
    return (Outcome.CORRECT if given in wanted else Outcome.WRONG), Method.EXACT


def check_number(answer: str, gold: Gold) -> Outcome:
    """The answer's number against the accepted range or numbers; see `numbers.compare` for what equal means."""
    given = numbers.parse(answer)
    if given is None:
        return Outcome.UNKNOWN
    unit = numbers.unit_name(gold.answer_unit)
    accepted = [number for form in gold.answers if (number := numbers.parse(form)) is not None]
    accepted = [number if number.known_unit or not unit else number._replace(unit=unit) for number in accepted]
    if gold.answer_low is not None or gold.answer_high is not None:
        return _in_range(given, gold, unit or next((n.unit for n in accepted if n.known_unit), ""), accepted)
    if not accepted:
        return Outcome.UNKNOWN
    return _best([numbers.compare(given, number) for number in accepted], all_read=len(accepted) == len(gold.answers))


def _same_bare_number(answer: str, accepted: Sequence[str]) -> bool:
    """Both are a number and nothing else: `21 Savage` and `Apollo 11` are names."""
    given = numbers.parse(answer, 0)
    for form in accepted:
        wanted = numbers.parse(form, 0)
        if given is None or wanted is None or (wanted.unit and wanted.known_unit is None):
            continue
        if numbers.compare(given, wanted) is Outcome.CORRECT:
            return True
    return False


def _in_range(given: numbers.Quantity, gold: Gold, unit: str, accepted: Sequence[numbers.Quantity]) -> Outcome:
    """Both ends of a range are in the gold's unit; an end that is missing is the gold number itself."""
    own = [number.low for number in accepted] + [number.high for number in accepted]
    low = gold.answer_low if gold.answer_low is not None else min(own, default=math.nan)
    high = gold.answer_high if gold.answer_high is not None else max(own, default=math.nan)
    measured = numbers.in_unit(given, unit)
    if measured is None or not low <= high:
        return Outcome.UNKNOWN
    return numbers.within(measured, low, high)


def check_date(answer: str, gold: Gold) -> Outcome:
    """The answer's date against the accepted ones, or its year against an accepted range of years."""
    given = parse_dates(answer)
    if not given:
        return Outcome.UNKNOWN
    if gold.answer_low is not None and gold.answer_high is not None and given[0].year is not None:
        inside = gold.answer_low <= given[0].year <= gold.answer_high
        return Outcome.CORRECT if inside else Outcome.WRONG
    accepted = [dates for form in gold.answers if (dates := parse_dates(form))]
    if not accepted:
        return Outcome.UNKNOWN
    outcomes = [compare_dates(mine, theirs) for mine in given for dates in accepted for theirs in dates]
    # 03/04/2020 may be the right day or not.
    if len(given) > 1 or any(len(dates) > 1 for dates in accepted):
        return Outcome.WRONG if set(outcomes) == {Outcome.WRONG} else Outcome.UNKNOWN
    return _best(outcomes, all_read=len(accepted) == len(gold.answers))


def _best(outcomes: Sequence[Outcome], *, all_read: bool) -> Outcome:
    """Right against any form is right; wrong only against all of them, when every form could be read."""
    if Outcome.CORRECT in outcomes:
        return Outcome.CORRECT
    return Outcome.WRONG if all_read and set(outcomes) == {Outcome.WRONG} else Outcome.UNKNOWN

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
from gog.transforms.verify.dates import compare_dates, parse_dates
from gog.transforms.verify.normalise import fold, normalise, squeezed, unwrapped
from gog.transforms.verify.numerals import in_digits
from gog.transforms.verify.quantities import Quantity, compare, in_unit, parse, within
from gog.transforms.verify.signs import signs
from gog.transforms.verify.units import Unit, unit_of

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


MOST_SYMBOL: Final = 2
"""Letters of a symbol, as of a chemical element, whose case tells it apart."""

_LEAD_IN: Final = re.compile(
    r"^(?:(?:so|thus|therefore|hence|well|ok|okay),?\s+)?"
    r"(?:(?:the|my)\s+)?(?:(?:final|short|correct)\s+)?answer(?:\s+is|\s*:)\s*(?:that\s+)?(?:(?:it|this)\s+is\s+)?:?"
    # A verb in capitals is a title's: This Is Us.
    r"|^(?:it|this|that|he|she)(?-i:\s+is|\s+was|['’]s)\s+(?:called\s+|named\s+)?"
    r"|^(?:they|these|those)(?-i:\s+are|\s+were|['’]re)\s+"
    r"|^there(?-i:\s+is|\s+are|\s+was|\s+were)\s+",
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
_YES: Final = frozenset("yes yeah yep yup true correct affirmative ja si oui да 是 是的 はい 예 نعم".split())  # noqa: SIM905
_NO: Final = frozenset("no nope nah false incorrect negative nein non нет 否 不是 いいえ 아니요 لا".split())  # noqa: SIM905
_TO_BE: Final = "is was are were does did do has have had can could will would"
_AGREES: Final = re.compile(
    r"(?P<word>[^\W_]+)\s*[,.;:!-]\s*"
    rf"(?:it|he|she|they|this|that|there|i|we|you)\s+(?:{_TO_BE.replace(' ', '|')})(?P<not>\s+not|n['’]t)?"
)
"""`Yes, it is`: more than that may take it back."""


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
    text = unwrapped(answer)
    for _ in range(2):
        text = unwrapped(_LEAD_IN.sub("", text, count=1)) or text
    return text


def _exact(answer: str, accepted: Sequence[str]) -> Method | None:
    """How the answer is an accepted form. A lead-in is cut from the answer alone: `This Is Us` is not `Us`."""
    forms = {(normalise(text), signs(text)) for text in (answer, strip_lead_in(answer))}
    tight = {(squeezed(form), marks) for form, marks in forms}
    for position, form in enumerate(accepted):
        wanted, marks = normalise(form), signs(form)
        same = wanted and ((wanted, marks) in forms or (squeezed(wanted), marks) in tight)
        if same and not _other_symbol(answer, form):
            return Method.ALIAS if position else Method.EXACT
    return None


def _other_symbol(answer: str, form: str) -> bool:
    """Whether both are the same few letters in another case: CO is not Co. Small letters may be anybody's, and so are
    yes and no.
    """
    said, wanted = strip_lead_in(answer).rstrip("."), form.strip()
    if len(said) > MOST_SYMBOL or said == wanted or said.lower() != wanted.lower() or said.lower() in _YES | _NO:
        return False
    return not said.islower() and not wanted.islower()


def yes_or_no(text: str) -> bool | None:
    """True for yes, False for no, None when the text is more than one of them and what repeats it."""
    folded = unwrapped(" ".join(fold(text[:400]).split()).rstrip(" .!,。"))
    agrees = _AGREES.fullmatch(folded)
    word = agrees["word"] if agrees else folded
    if word not in _YES | _NO or (agrees and (agrees["not"] is not None) != (word in _NO)):
        return None
    return word in _YES


def _check_yes_no(answer: str, gold: Gold) -> Checked:
    wanted = {yes_or_no(form) for form in gold.answers} - {None}
    given = yes_or_no(answer)
    if len(wanted) != 1 or given is None:
        return UNSETTLED
    return (Outcome.CORRECT if given in wanted else Outcome.WRONG), Method.EXACT


def check_number(answer: str, gold: Gold) -> Outcome:
    """The answer's quantity against the accepted range or quantities; see `quantities.compare` for what equal means."""
    given = _parsed(answer)
    if not given:
        return Outcome.UNKNOWN
    accepted = [readings for form in gold.answers if (readings := _parsed(form))]
    if gold.answer_unit:
        # A unit that is in no table is one of its own: an answer that names none is in it.
        unit = unit_of(gold.answer_unit) or Unit(gold.answer_unit)
        accepted = [
            tuple(one if one.unit else one._replace(unit=unit, counted="") for one in each) for each in accepted
        ]
    if gold.answer_low is not None or gold.answer_high is not None:
        return _in_range(given, gold, accepted)
    return _best([compare(given, each) for each in accepted], all_read=len(accepted) == len(gold.answers))


def _parsed(text: str) -> tuple[Quantity, ...]:
    """As digits, or else in words; of names only English ones are, since 百 and quince may be no numbers."""
    return parse(text) or (parse(written) if (written := in_digits(unwrapped(text).rstrip(" .。!"))) else ())


def _same_bare_number(answer: str, accepted: Sequence[str]) -> bool:
    """Both are a number with the same kind of unit or none: `21 Savage`, `7 Days` and `Apollo 11` are names."""
    given = parse(answer)
    for form in accepted:
        wanted = parse(form)
        if given and wanted and compare(given, wanted) is Outcome.CORRECT:
            mine, theirs = given[0], wanted[0]
            same_kind = (mine.unit is None) == (theirs.unit is None) and mine.counted == theirs.counted
            # Of a name no digit may be rounded: 1140 is not 1139.
            if same_kind and (mine.unit or mine.low == theirs.low):
                return True
    return False


def _in_range(given: Sequence[Quantity], gold: Gold, accepted: Sequence[Sequence[Quantity]]) -> Outcome:
    """Both ends of a range are in the gold's unit; an end that is missing is the gold number itself."""
    own = [end for each in accepted for end in (each[0].low, each[0].high)]
    low = gold.answer_low if gold.answer_low is not None else min(own, default=math.nan)
    high = gold.answer_high if gold.answer_high is not None else max(own, default=math.nan)
    units = {each[0].unit for each in accepted} or {unit_of(gold.answer_unit) if gold.answer_unit else None}
    if len(units) != 1 or not low <= high:
        return Outcome.UNKNOWN
    (unit,) = units
    if unit is None:
        measured = [one for one in given if one.unit is None]
    else:
        measured = [one for reading in given if (one := in_unit(reading, unit)) is not None]
    outcome = within(measured, low, high) if len(measured) == len(given) else Outcome.UNKNOWN
    # Where a percentage is wanted, 0.45 may be the share.
    share = unit is not None and unit.dimension == "percent" and any(low <= 100 * one.low <= high for one in given)
    return Outcome.UNKNOWN if outcome is Outcome.WRONG and (given[0].about or share) else outcome


def check_date(answer: str, gold: Gold) -> Outcome:
    """The answer's date against the accepted ones, or its year against an accepted range of years."""
    given = parse_dates(answer)
    if not given:
        return Outcome.UNKNOWN
    years = {date.year for date in given}
    if gold.answer_low is not None and gold.answer_high is not None and None not in years:
        inside = {gold.answer_low <= year <= gold.answer_high for year in years if year is not None}
        return Outcome.UNKNOWN if len(inside) > 1 else Outcome.CORRECT if True in inside else Outcome.WRONG
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

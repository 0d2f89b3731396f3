"""How many of an export's questions rules can settle: without a judge only those teach what a wrong answer is."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from gog.transforms.verify.settles import Settles, settles
from gog_train.environment import gold_of
from gog_train.rewards.terms import Unsettled

_WORDS: Final = {Settles.BOTH: "both ways", Settles.CONFIRMS: "only as right", Settles.NOTHING: "never"}
_LEFT: Final[Mapping[Unsettled, str]] = {
    "mask": "answers that they leave open are masked",
    "zero": "answers that they leave open are paid 0",
}


class Reach(NamedTuple):
    """`counts` of questions by answer type and what rules can do; `advice` is empty where a judge or rules suffice."""

    counts: Counter[tuple[str, Settles]]
    line: str
    advice: str


def reach(rows: Iterable[Mapping[str, Any]], unsettled: Unsettled, *, judge: bool) -> Reach:
    """What rules can do for rows of an RL export: of a row its accepted answers are read, no image."""
    counts = Counter((str(row["answer_type"]), settles(gold_of(row))) for row in rows)
    whole = counts.total()
    shares = {way: sum(count for (_, can), count in counts.items() if can is way) for way in Settles}
    shown = ", ".join(f"{count / whole:.0%} {_WORDS[way]}" for way, count in shares.items() if count)
    by_type = "; ".join(
        f"{kind}: " + ", ".join(f"{counts[kind, way]} {_WORDS[way]}" for way in Settles if counts[kind, way])
        for kind in sorted({kind for kind, _ in counts})
    )
    line = f"rules settle answers to {whole} questions: {shown or 'none'} ({by_type})"
    if judge:
        return Reach(counts, f"{line}; a judge is asked about the rest", "")
    advice = "name a judge" + ("" if unsettled == "zero" else ", or set `unsettled: zero` if no other wording is right")
    return Reach(counts, f"{line}; {_LEFT[unsettled]}", advice if shares[Settles.BOTH] < whole else "")

"""A verdict as somebody at a terminal is asked about it, and what an audit shows, as tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from gog.pipelines.lake.one_line import one_line
from gog.pipelines.show.trajectory import Records, Turn, view_of
from gog.pipelines.views.summary import plain_table
from gog.schemas import AnswerType, Hit, Outcome, Seed
from gog.transforms.evaluate.audit import AuditReport, Rate, Ruling
from gog.transforms.verify.grounding import literal
from gog.transforms.verify.leaks import leaks
from gog.transforms.verify.suspicions import suspicions

SHORT_HITS: Final = 4
SHORT: Final = 220
"""Characters of a text where no more is asked for."""
LONG: Final = 4000
TITLES: Final = {
    Ruling.ACCEPTED: ("False accepts: accepted, and people say wrong", "wrong"),
    Ruling.REJECTED: ("False rejects: rejected, and people say right", "right"),
    Ruling.UNSETTLED: ("Lost: left because nobody could tell, and people say right", "right"),
}
SHOWN_MISTAKES: Final = 10
SAID: Final = {"right": Outcome.CORRECT, "wrong": Outcome.WRONG, "skip": Outcome.UNKNOWN}


def question_of(records: Records) -> str:
    """What a person is asked of a verdict: whether the trajectory deserves to be accepted."""
    asked = "Is the answer right"
    if any(records.evidence[name].provider for name in _evidence_ids(records)):
        asked += ", and does what was found support it"
    if records.verdict and records.verdict.leaked:
        asked += ", and did the reasoning come to it by itself"
    return f"{asked}?"


def verdict_table(records: Records, pictures: Sequence[Path], *, whole: bool = False) -> Table:
    """The verdict with what it was made from, a line for each; `whole` cuts nothing short of what is endless.

    `pictures` are the files of the question's.
    """
    view, seed, verdict = view_of(records), records.seed, records.verdict
    longest = LONG if whole else SHORT
    forms = (records.trajectory.answer or "", *view.accepted)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")

    def add(label: str, text: object, style: str = "", longest: int = longest) -> None:
        if line := one_line(text, longest):
            table.add_row(label, Text(line, style=style))

    add("question", view.question, "bold", LONG)
    add("answer", view.answer, "bold", LONG)
    add("accepted", " · ".join(view.accepted))
    add("compared as", _comparison(seed) if seed else "")
    for number, picture in enumerate(pictures):
        add(f"image {number}" if len(pictures) > 1 else "picture", picture)
    for number, line in enumerate(_evidence_lines(view.turns, forms, whole)):
        add("" if number else "evidence", line, "", longest)
    doubtful = seed is not None and verdict is not None and verdict.leaked is not False
    for line in leaks(records.trajectory, seed) or suspicions(records.trajectory, seed) if seed and doubtful else ():
        add("leak", line)
    if whole or doubtful:
        for turn in view.turns:
            add(f"turn {turn.name}", turn.words, "", longest)
    add("verdict", f"{view.outcome}; {view.judgement}" if view.judgement else view.outcome, "", LONG)
    for vote in verdict.votes if verdict else ():
        add(f"{vote.says} on {vote.about}", f"{vote.judge}: {vote.reply}")
    add("judge's reply", verdict.judge_reply if verdict and not verdict.votes else "")
    return table


def _evidence_ids(records: Records) -> list[str]:
    return [name for step in records.trajectory.steps for name in step.evidence_ids if name in records.evidence]


def _comparison(seed: Seed) -> str:
    """How answers are compared, where that is not as text."""
    ends = [f"{end:g}" if end is not None else "" for end in (seed.answer_low, seed.answer_high)]
    bounds = f"from {ends[0] or 'anything'} to {ends[1] or 'anything'}" if any(ends) else ""
    kind = "" if seed.answer_type is AnswerType.STRING else str(seed.answer_type).replace("_", " or ")
    unit = f"in {seed.answer_unit}" if seed.answer_unit else ""
    return ", ".join(filter(None, (kind, unit, bounds)))


def _evidence_lines(turns: Sequence[Turn], forms: Sequence[str], whole: bool) -> list[str]:
    """What was found: hits that name the answer or an accepted form first, for short a few of them."""
    hits = [(turn, hit) for turn in turns for hit in turn.hits]
    troubles = [f"{_asked(turn)}: {turn.trouble}" for turn in turns if turn.trouble]
    ranked = sorted(hits, key=lambda each: not _names(each[1], forms)) if not whole else hits
    shown = ranked if whole else ranked[:SHORT_HITS]
    lines = [f"{_asked(turn)}: {_hit_line(hit, forms, LONG if whole else SHORT)}" for turn, hit in shown]
    rest = len(hits) - len(shown)
    more = [f"and {rest} more"] if rest else []
    return [*lines, *more, *troubles] or ["none: nothing was searched"]


def _asked(turn: Turn) -> str:
    return f"{turn.title} “{one_line(turn.detail, 60)}”" if turn.detail else turn.title


def _names(hit: Hit, forms: Sequence[str]) -> bool:
    return literal([form for form in forms if form], f"{hit.title}\n{hit.snippet}")


def _hit_line(hit: Hit, forms: Sequence[str], longest: int) -> str:
    """Title and snippet; of a long snippet the part around what names the answer."""
    title, snippet = one_line(hit.title, 80), one_line(hit.snippet)
    room = longest - len(title) - 70
    if len(snippet) > room:
        places = [snippet.casefold().find(form.casefold()) for form in forms if form]
        first = min((place for place in places if place >= 0), default=0)
        begin = max(0, min(first - room // 3, len(snippet) - room))
        snippet = ("…" if begin else "") + one_line(snippet[begin:], max(room, 20))
    return f"{title}: {snippet}" if snippet else title


def report_tables(report: AuditReport) -> list[Table]:
    """The report's tables; a ruling that the run does not have has none."""
    tables = []
    for ruling, (title, word) in TITLES.items():
        whole, *methods = report.by_method[ruling] or (None,)
        if whole is None:
            continue
        lines = [_line("all", whole)]
        lines += [
            _line(f"settled by {rate.of}" if rate.of != "none" else "settled by nothing", rate) for rate in methods
        ]
        lines += [_line(rate.of, rate) for rate in report.by_reason[ruling][1:]]
        columns = ("of", ">in the run", ">decided", f">{word}", ">share in the run", ">95% interval")
        tables.append(plain_table(title, columns, lines))
    return tables


def _line(name: str, rate: Rate) -> tuple[str, ...]:
    counts = (f"{rate.verdicts:,}", f"{rate.decided:,}", f"{rate.mistaken:,}")
    return (name, *counts, *told(rate))


def told(rate: Rate) -> tuple[str, str]:
    """The share, and its interval, in words."""
    if rate.value is None or rate.low is None or rate.high is None:
        return "-", "-"
    return f"{rate.value:.1%}", f"{rate.low:.1%} to {rate.high:.1%}"


def plain_report(report: AuditReport) -> dict[str, Any]:
    """The report for programs."""

    def plain(rate: Rate) -> dict[str, Any]:
        return {name: getattr(rate, name) for name in Rate.__slots__}

    return {
        "mistaken": plain(report.mistaken),
        "rulings": {
            ruling.value: {
                "all": plain(report.by_method[ruling][0]),
                "by_method": [plain(rate) for rate in report.by_method[ruling][1:]],
                "by_reason": [plain(rate) for rate in report.by_reason[ruling][1:]],
            }
            for ruling in Ruling
            if report.by_method[ruling]
        },
        "mistakes": list(report.found),
    }

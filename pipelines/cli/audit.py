"""Decide on a sample of a run's verdicts: how many are false.

Each is shown with what it was made from: question, answer, accepted forms, evidence, and the rule or the judge's
reply that settled it. Say right or wrong; a rerun goes on where you stopped. The report has the shares of false
accepts and false rejects, by method and by reason, as they are in the run.
"""

import os
import select
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gog.pipelines.cli.options import JsonOption, LakeOption, OfConfig, OfRun, example, option, print_json
from gog.pipelines.cli.targets import one_run, reviewer_of

if TYPE_CHECKING:
    from gog.pipelines.api import Run
    from gog.pipelines.lake.review_files import AuditBook
    from gog.pipelines.show.trajectory import Records
    from gog.schemas import Audit
    from gog.transforms.evaluate.audit import Group

WORDS: Final = ("right", "wrong", "skip", "back", "more", "quit")
AT_ONCE: Final = 10
"""Verdicts whose records are read at a time."""
PAUSE_S: Final = 0.3
"""What is typed sooner after a key is the rest of its word."""
EXAMPLES: Final = example(
    "gog audit",
    "gog audit --size 200",
    "gog audit --report",
    "gog audit --run fvqa --reviewer ana --report --json",
    more="One key decides: r right, w wrong, s skip, b back, m more of it, q quit; in a pipe, a line each. Right means "
    "that it deserves to be accepted, whatever the verdict was. Decisions are kept in LAKE/runs/RUN/audits as they are "
    "made; they change no export.",
)


def audit(
    size: Annotated[int, option("--size -n", "NUMBER", "Verdicts to draw; a larger sample goes on.", min=1)] = 50,
    seed: Annotated[int, option("--seed", "NUMBER", "Of the draw; people with one seed see the same.")] = 0,
    reviewer: Annotated[str | None, option("--reviewer", "NAME", "Who decides; your login unless given.")] = None,
    report: Annotated[bool, typer.Option("--report", help="Show what is known so far, and ask nothing.")] = False,
    config: OfConfig = None,
    lake: LakeOption = None,
    name: OfRun = None,
    as_json: JsonOption = False,
) -> None:
    from gog.pipelines.lake.review_files import AuditBook, read_audits
    from gog.pipelines.show.web.records import groups_of
    from gog.transforms.evaluate.audit import draw

    run = one_run(config, lake, name)
    groups = groups_of(run.lake, run.name)
    if not groups:
        print(f"the run {run.name!r} has no verdicts yet")
        return
    if not (report or as_json):
        book = AuditBook(run.lake, run.name)
        book.refresh()
        _ask(run, draw(groups, size, seed), book, reviewer_of(reviewer))
    _report(run, groups, read_audits(run.lake, run.name), as_json)


def _ask(run: "Run", sample: Sequence[str], book: "AuditBook", who: str) -> None:
    """Go through the sample: first what nobody was asked, then what was skipped; back goes to what is decided."""
    from rich.rule import Rule

    from gog.pipelines.lake.reviews import said_by
    from gog.pipelines.show.audit import SAID, question_of, verdict_table
    from gog.pipelines.show.web.records import several_records
    from gog.pipelines.views.summary import console_for
    from gog.transforms.evaluate.audit import in_order

    words_of = {outcome: word for word, outcome in SAID.items()}
    said = said_by(who, book.latest)
    order, front = in_order(sample, said)
    at = front
    console, records = console_for(sys.stdout), {}
    with _keys() as words:
        while front < len(order):
            name = order[at]
            if name not in records:
                records = several_records(run.lake, run.name, order[at : at + AT_ONCE])
            if name not in records:  # a verdict whose trajectory is gone
                at = front = max(front, at + 1)
                continue
            here = records[name]
            known = f"; you said {words_of[said[name]]}" if name in said else ""
            console.print(Rule(f"{at + 1} of {len(order)}  {name}{known}", align="left", style="dim"))
            pictures = _pictures(run, here)
            console.print(verdict_table(here, pictures))
            while (word := _word(words, question_of(here))) == "more":
                console.print(verdict_table(here, pictures, whole=True))
            if word == "quit":
                break
            if word == "back":
                at = max(0, at - 1)
                continue
            said[name] = book.add(name, here.trajectory.seed_id, who, SAID[word]).outcome
            at = front = max(front, at + 1)
    left = len(order) - front
    goes_on = f"; {left:,} left, the same command goes on" if left else f"; --size {2 * len(order)} asks about more"
    print(f"{front:,} of {len(order):,} decided or skipped{goes_on}")


def _pictures(run: "Run", records: "Records") -> list[Path]:
    """Where the question's images are; none where one of them is missing."""
    with suppress(KeyError, OSError):
        return [run.lake.images.path(sha256) for sha256 in records.seed.image_hashes] if records.seed else []
    return []


def _word(words: Iterator[str], question: str) -> str:
    """The next word that is one; the end of the input quits."""
    while True:
        print(f"{question}  {'  '.join(f'[{word[0]}]{word[1:]}' for word in WORDS)}: ", end="", flush=True)
        typed = next(words, "quit").strip().lower()
        word = next((word for word in WORDS if typed and typed in (word, word[0])), "")
        print(word, flush=True)
        if word:
            return word


@contextmanager
def _keys() -> Iterator[Iterator[str]]:
    """What is typed: single keys at a terminal, lines elsewhere."""
    try:
        import termios
        import tty
    except ImportError:  # Windows
        yield iter(sys.stdin.readline, "")
        return
    if not sys.stdin.isatty():
        yield iter(sys.stdin.readline, "")
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        yield _pressed(terminal)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _pressed(terminal: int) -> Iterator[str]:
    """Keys, one at a time. A word that is typed out is its first letter, not a decision for each letter."""
    while (key := os.read(terminal, 1)) not in (b"", b"\x04"):
        if key.isspace():
            continue
        yield key.decode("latin-1")
        while select.select([terminal], [], [], PAUSE_S)[0] and os.read(terminal, 1000):
            pass


def _report(
    run: "Run", groups: "Mapping[str, Group]", latest: "Mapping[str, Mapping[str, Audit]]", as_json: bool
) -> None:
    from gog.pipelines.lake.reviews import audited
    from gog.pipelines.show.audit import SHOWN_MISTAKES, plain_report, report_tables, told
    from gog.pipelines.views.summary import console_for
    from gog.transforms.evaluate.audit import report

    words = audited({name: by for name, by in latest.items() if name in groups})
    shown = report(groups, words.said)
    if as_json:
        people = {"people": words.people, "skipped": words.skipped, "disputed": list(words.disputed)}
        print_json(people | plain_report(shown))
        return
    if not words.said:
        print("nobody has decided on a verdict of this run yet")
        return
    console = console_for(sys.stdout)
    for table in report_tables(shown):
        console.print(table)
    share, interval = told(shown.mistaken)
    print(f"Of all that was settled {share} is mistaken ({interval}), by {shown.mistaken.decided:,} decisions.")
    if words.skipped:
        print(f"{words.skipped:,} were skipped.")
    if words.disputed:
        print(f"People disagree on {len(words.disputed):,}, which count for nothing: {' '.join(words.disputed[:5])}")
    if shown.mistaken.unseen:
        print(f"Of {shown.mistaken.unseen:,} verdicts, in groups where nobody has decided, nothing is known.")
    if shown.found:
        print("Mistaken (`gog view` has each with all turns, and rejects it for exports):")
        for found in shown.found[:SHOWN_MISTAKES]:
            print(f"  {found}  {', '.join(filter(None, groups[found]))}")
        if len(shown.found) > SHOWN_MISTAKES:
            print(f"  and {len(shown.found) - SHOWN_MISTAKES:,} more, which --json has")

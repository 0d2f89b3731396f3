"""The results of an evaluation as tables for people."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from rich.console import Console

from gog.pipelines.evaluate.results import Compared, JudgesAgree
from gog.pipelines.lake.one_line import one_line
from gog.pipelines.views.summary import plain_table
from gog.transforms.evaluate.average import Average
from gog.transforms.evaluate.behaviour import Behaviours
from gog.transforms.evaluate.benchmark import benchmark_named
from gog.transforms.evaluate.compare import Difference
from gog.transforms.evaluate.items import DROPPED
from gog.transforms.evaluate.protocols.agreement import Agreement, RulesAndJudge
from gog.transforms.evaluate.protocols.measures import NOTHING, Estimate
from gog.transforms.evaluate.published import published
from gog.transforms.evaluate.results import BenchResults, ParadigmResults, Results
from gog.transforms.evaluate.share import Share

_SCORES: Final = ("paradigm", ">items", ">official", ">95%", ">judged", ">95%", ">unknown", ">rules settle")
_LEFT_OUT: Final[Mapping[str, str]] = {
    **{str(reason): what for reason, what in DROPPED.items()},
    "no_image": "the question has no image",
    "unscorable": "the official protocol cannot score the question as it was published",
}


def print_results(results: Results, console: Console) -> None:
    """For each benchmark a table of scores beside the paper's, one of parts and one of behaviours; then the spend."""
    for name, part in results.benchmarks.items():
        _print_bench(results.policy, name, part, console)
    if results.average:
        _print_average(results, console)
    _print_used(results, console)
    for remark in _remarks(results):
        console.print(remark, soft_wrap=True, markup=False)


def _print_bench(policy: str, name: str, part: BenchResults, console: Console) -> None:
    if not part.paradigms:
        console.print(f"{name} {part.split}: nothing was answered", markup=False)
    else:
        first = next(iter(part.paradigms.values()))
        title = f"{name} {part.split}: {policy} (official: {first.official.headline[0]}; all in %)"
        lines = [_scores(paradigm, results) for paradigm, results in part.paradigms.items()]
        lines += [
            (f"{row.paradigm}, paper: {row.model}", "", "", "", f"{row.accuracy[name]:.1f}", "", "", "")
            for row in published()
            if name in row.accuracy
        ]
        console.print(plain_table(title, _SCORES, lines))
        _print_parts(part, console)
        _print_behaviours(part, console)
        for paradigm, results in part.paradigms.items():
            for reason, count in results.failures.items():
                console.print(f"  {paradigm}: {count:,} without an answer: {one_line(reason)}", markup=False)
    if part.left:
        console.print(f"  {part.left:,} answers left for a later run", markup=False)
    for reason, count in part.dropped.items():
        console.print(f"  left out: {count:,} questions: {_LEFT_OUT.get(reason, one_line(reason))}", markup=False)


def _scores(paradigm: str, results: ParadigmResults) -> tuple[str, ...]:
    official, judged = results.official.headline[1], results.judged.headline[1]
    unknown = max(results.official.unknown, results.judged.unknown)
    return (
        paradigm,
        f"{results.items:,}",
        _percent(official.value),
        _interval(official),
        _percent(judged.value),
        _interval(judged),
        f"{unknown:,}" if unknown else "",
        _percent(results.rules_and_judge.decided.value),
    )


def _print_parts(part: BenchResults, console: Console) -> None:
    """The official protocol's other measures: parts of the benchmark, and other ways to count."""
    names = dict.fromkeys(name for results in part.paradigms.values() for name in list(results.official.measures)[1:])
    if not names:
        return
    lines = []
    for name in names:
        measured = [results.official.measures.get(name, NOTHING) for results in part.paradigms.values()]
        cells = [f"{_percent(each.value)} ({_interval(each)})" if each.value is not None else "" for each in measured]
        lines.append((name, f"{max(each.n for each in measured):,}", *cells))
    columns = ("official, by part", ">items", *(f">{paradigm}" for paradigm in part.paradigms))
    console.print(plain_table("", columns, lines))


def _print_behaviours(part: BenchResults, console: Console) -> None:
    measured = [_behaviours(results.behaviours) for results in part.paradigms.values()]
    lines = [(name, *(each[name] for each in measured)) for name in measured[0] if any(each[name] for each in measured)]
    console.print(plain_table("", ("how it searched", *(f">{paradigm}" for paradigm in part.paradigms)), lines))


def _behaviours(did: Behaviours) -> dict[str, str]:
    mix = {f"{kind} %": _percent(share.value) for kind, share in did.mix.items()}
    return mix | {
        "turns": _number(did.turns),
        "searches": _number(did.searches),
        "useful gazes %": _share(did.gaze_useful),
        "misses noticed %": _share(did.reflected),
        "no answer %": _percent(did.no_answer.value),
        "tokens": "" if did.tokens is None else f"{did.tokens:,.0f}",
        "list price $": "unknown" if did.cost is None else f"{did.cost:.4f}",
    }


def _print_average(results: Results, console: Console) -> None:
    names = next(iter(results.average.values())).benchmarks
    lines = [(str(paradigm), _percent(found.value), _interval(found)) for paradigm, found in results.average.items()]
    lines += [
        (f"{row.paradigm}, paper: {row.model}", f"{mean:.1f}", "")
        for row in published()
        if (mean := row.average(names)) is not None
    ]
    title = f"Average of {', '.join(names)}: {results.policy} (judged, each benchmark counts the same)"
    console.print(plain_table(title, ("paradigm", ">judged", ">95%"), lines))


def _print_used(results: Results, console: Console) -> None:
    lines = [
        (
            one.purpose,
            one.kind,
            one.provider,
            f"{one.questions:,}",
            f"{one.from_store:,}",
            f"{one.calls:,}",
            _percent(one.came_back.value),
            f"{one.prompt_tokens + one.completion_tokens:,}",
            f"{one.cost:,.4f}",
        )
        for one in sorted(results.used, key=lambda one: (one.purpose, one.kind, one.provider))
    ]
    total = Counter[str]()
    for one in results.used:
        total.update(questions=one.questions, from_store=one.from_store, calls=one.calls)
        total.update(tokens=one.prompt_tokens + one.completion_tokens)
    counted = (f"{total[name]:,}" for name in ("questions", "from_store", "calls"))
    spent = sum(one.cost for one in results.used)
    last = ("all", "", "", *counted, "", f"{total['tokens']:,}", f"{spent:,.4f}")
    columns = ("purpose", "kind", "provider", ">asked", ">from store", ">calls", ">came back", ">tokens", ">$")
    title = "What was asked of the outside, in all sessions"
    if lines:
        console.print(plain_table(title, columns, lines, last))


def _remarks(results: Results) -> Iterable[str]:
    """What a reader has to know of the numbers."""
    if any(row.accuracy.keys() & results.benchmarks.keys() for row in published()):
        yield "The paper's rows were judged by another model over other search engines: they are for orientation."
    elsewhere = sorted(name for name in results.benchmarks if not benchmark_named(name).bundled)
    if results.judge.startswith("planner:") and elsewhere:
        yield (
            f"The judge is a rule-based program: its numbers of {', '.join(elsewhere)} are worth little. Name a model "
            "with --judge."
        )
    for name, part in results.benchmarks.items():
        for paradigm, found in part.paradigms.items():
            if found.rules_and_judge.agreement.n:
                yield f"{name} {paradigm}: {_agreed(found.rules_and_judge)}"


def _agreed(agreement: RulesAndJudge) -> str:
    kappa = agreement.agreement.kappa
    also = "" if kappa.value is None else f", kappa {kappa.value:.2f} ({_interval(kappa, 1)})"
    return f"rules and judge agree on {_percent(agreement.agreement.agreed.value)}% of {agreement.agreement.n:,}{also}"


def print_comparisons(rows: Sequence[Compared], console: Console) -> None:
    """A line a benchmark, paradigm and protocol: the headline measure of both, and whether they differ."""
    lines = []
    for benchmark, paradigm, protocol, compared in rows:
        measure, difference = next(iter(compared.measures.items()), ("", Difference(*[None] * 6)))
        lines.append(
            (
                benchmark,
                paradigm,
                f"{protocol} {measure}",
                f"{compared.paired:,}",
                _percent(difference.a),
                _percent(difference.b),
                _percent(difference.difference, sign=True),
                _interval(difference),
                _p(difference.p),
                f"{compared.a_alone_correct:,} / {compared.b_alone_correct:,}",
                _p(compared.mcnemar_p),
            )
        )
    columns = ("benchmark", "paradigm", "measure", ">items", ">A", ">B", ">B - A", ">95%", ">p", ">alone", ">McNemar p")
    console.print(plain_table("B against A, paired by item", columns, lines))
    official = [compared for *_, protocol, compared in rows if protocol == "official"]
    only = sum(compared.only_a + compared.only_b for compared in official)
    unknown = sum(compared.unknown for *_, compared in rows)
    if unknown or only:
        console.print(f"Left out: {unknown:,} scores unknown in one of them, {only:,} items that only one has")


def print_rules_and_judge(rows: Iterable[tuple[str, str, RulesAndJudge]], title: str, console: Console) -> None:
    """A line a benchmark and paradigm: what rules settle, and how far the judge agrees with them."""
    lines = [
        (benchmark, paradigm, _percent(agreement.decided.value), *_agreement(agreement.agreement))
        for benchmark, paradigm, agreement in rows
    ]
    columns = ("benchmark", "paradigm", ">rules settle", ">both", ">agree", ">95%", ">kappa", ">95%")
    console.print(plain_table(title, columns, lines))


def print_judges(rows: Iterable[JudgesAgree], title: str, console: Console) -> None:
    """A line a benchmark and paradigm: how far two judges agree."""
    lines = [(row.benchmark, row.paradigm, f"{row.other_answers:,}", *_agreement(row.agreement)) for row in rows]
    columns = ("benchmark", "paradigm", ">other answers", ">both", ">agree", ">95%", ">kappa", ">95%")
    console.print(plain_table(title, columns, lines))


def _agreement(agreement: Agreement) -> tuple[str, ...]:
    kappa = "" if agreement.kappa.value is None else f"{agreement.kappa.value:.2f}"
    return (
        f"{agreement.n:,}",
        _percent(agreement.agreed.value),
        _interval(agreement.agreed),
        kappa,
        _interval(agreement.kappa, 1),
    )


def _percent(value: float | None, *, sign: bool = False) -> str:
    return "" if value is None else f"{100 * value:{'+' if sign else ''}.1f}"


def _interval(bounded: Estimate | Difference | Average | Share, scale: int = 100) -> str:
    if bounded.low is None or bounded.high is None:
        return ""
    digits = 1 if scale == 100 else 2
    return f"{scale * bounded.low:.{digits}f} to {scale * bounded.high:.{digits}f}"


def _share(share: Share) -> str:
    return f"{_percent(share.value)} of {share.whole:,}" if share.whole else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _p(value: float | None) -> str:
    return "" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"

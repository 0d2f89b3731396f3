"""The results of an evaluation as tables for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from gog.pipelines.summary import plain_table
from gog.transforms.evaluate.published import PUBLISHED
from gog.transforms.protocols.compare import Comparison, Difference

COLUMNS = ("paradigm", ">official", ">95%", ">judged", ">95%", ">unknown", ">turns", ">searches")


def print_results(results: Mapping[str, Any], console: Console) -> None:
    """A table a benchmark: this evaluation's paradigms, then the paper's rows; then what the numbers rest on."""
    for name, part in results["benchmarks"].items():
        lines = [_line(paradigm, found) for paradigm, found in part["paradigms"].items()]
        if not lines:
            console.print(f"{name}: no item could be asked: {_reasons(part['dropped'])}")
            continue
        lines += [
            (f"{row.paradigm}, paper: {row.model}", "", "", f"{row.accuracy[name]:.1f}", "", "", "", "")
            for row in PUBLISHED
            if name in row.accuracy
        ]
        first = next(iter(part["paradigms"].values()))
        measure = _headline(first["official"])[0]
        title = f"{name} {part['split']}, {first['items']:,} items: {results['policy']} (official: {measure})"
        console.print(plain_table(title, COLUMNS, lines))
        for paradigm, found in part["paradigms"].items():
            console.print(f"  {paradigm}: {_behaviour(found)}", soft_wrap=True, highlight=False, markup=False)
        if part["dropped"]:
            console.print(f"  left out: {_reasons(part['dropped'])}", soft_wrap=True, markup=False)
    if any(row.accuracy.keys() & results["benchmarks"].keys() for row in PUBLISHED):
        console.print(
            "The paper's rows were judged by another model over other search engines: they are for orientation.",
            soft_wrap=True,
        )


def _line(paradigm: str, found: Mapping[str, Any]) -> tuple[str, ...]:
    official, judged = _headline(found["official"])[1], _headline(found["judged"])[1]
    unknown = max(found["official"]["unknown"], found["judged"]["unknown"])
    did = found["behaviours"]
    return (
        paradigm,
        _percent(official["value"]),
        _interval(official),
        _percent(judged["value"]),
        _interval(judged),
        f"{unknown:,}" if unknown else "",
        _number(did["turns"]),
        _number(did["searches"]),
    )


def _headline(summary: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    name, estimate = next(iter(summary["measures"].items()), ("nothing", {"value": None, "low": None, "high": None}))
    return name, estimate


def _behaviour(found: Mapping[str, Any]) -> str:
    did, rules = found["behaviours"], found["rules_and_judge"]
    mix = [f"{kind} {100 * share['value']:.0f}%" for kind, share in did["mix"].items() if share["value"]]
    tokens = did["prompt_tokens"] + did["completion_tokens"]
    said = [
        ", ".join(mix),
        f"{found['failed']:,} of {found['items']:,} failed outside" if found["failed"] else "",
        f"useful gazes {_share(did['gaze_useful'])}" if did["gaze_useful"]["whole"] else "",
        f"misses noticed {_share(did['reflected'])}" if did["reflected"]["whole"] else "",
        f"no answer {_share(did['no_answer'])}" if did["no_answer"]["part"] else "",
        f"{tokens / max(1, did['episodes']):,.0f} tokens an episode",
        f"rules settle {_percent(rules['decided']['value'])}%",
    ]
    if rules["agreement"]["kappa"]["value"] is not None:
        said.append(f"rules and judge agree with kappa {rules['agreement']['kappa']['value']:.2f}")
    return "; ".join(filter(None, said))


def print_comparisons(found: Sequence[tuple[str, str, str, Comparison]], console: Console) -> None:
    """A line a benchmark, paradigm and protocol: the headline measure of both, and whether they differ."""
    lines = []
    for benchmark, paradigm, protocol, compared in found:
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
                _interval({"low": difference.low, "high": difference.high}),
                _p(difference.p),
                f"{compared.a_alone_correct:,} / {compared.b_alone_correct:,}",
                _p(compared.mcnemar_p),
            )
        )
    columns = ("benchmark", "paradigm", "measure", ">items", ">A", ">B", ">B - A", ">95%", ">p", ">alone", ">McNemar p")
    console.print(plain_table("B against A, paired by item", columns, lines))
    unknown = sum(compared.unknown for *_, compared in found)
    only = sum(compared.only_a + compared.only_b for *_, compared in found)
    if unknown or only:
        console.print(f"Left out: {unknown:,} unknown in one of them, {only:,} that only one has", markup=False)


def print_agreements(
    rows: Sequence[tuple[str, str, Mapping[str, Any] | None, Mapping[str, Any]]], title: str, console: Console
) -> None:
    """A line a benchmark and paradigm: how many both settled, how often they agree, kappa."""
    lines = [
        (
            benchmark,
            paradigm,
            "" if decided is None else _percent(decided["value"]),
            f"{found['n']:,}",
            f"{found['unknown_first'] + found['unknown_second'] + found['unknown_both']:,}",
            _percent(found["agreed"]["value"]),
            "" if found["kappa"]["value"] is None else f"{found['kappa']['value']:.2f}",
            _interval(found["kappa"], 1),
        )
        for benchmark, paradigm, decided, found in rows
    ]
    columns = ("benchmark", "paradigm", ">rules settle %", ">both", ">unknown", ">agree %", ">kappa", ">95%")
    console.print(plain_table(title, columns, lines))


def _percent(value: float | None, *, sign: bool = False) -> str:
    return "" if value is None else f"{100 * value:{'+' if sign else ''}.1f}"


def _interval(estimate: Mapping[str, Any], scale: int = 100) -> str:
    low, high = estimate["low"], estimate["high"]
    digits = 1 if scale == 100 else 2
    return "" if low is None or high is None else f"{scale * low:.{digits}f} to {scale * high:.{digits}f}"


def _share(share: Mapping[str, Any]) -> str:
    return f"{_percent(share['value'])}% of {share['whole']:,}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _p(value: float | None) -> str:
    return "" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in counts.items())

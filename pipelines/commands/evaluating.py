"""`gog eval`: benchmarks answered by a policy, scored, and compared."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gog.pipelines.commands.common import (
    FELL_SHORT,
    ConfigOption,
    JsonOption,
    LakeOption,
    UseError,
    config_of,
    example,
    print_json,
)

if TYPE_CHECKING:
    from gog.pipelines.evaluate import Bench, Evaluation
    from gog.transforms.evaluate.paradigms import Paradigm

ALL = ("direct", "prompted", "full-search", "policy")
MORE = (
    "Benchmarks: fvqa, infoseek, simplevqa, mmsearch, livevqa, dynvqa, each with =PATH of its published files, and "
    "atlas, which is bundled. A split stands behind a colon: livevqa:News=data/livevqa."
)

app = typer.Typer(name="eval", invoke_without_command=True, rich_markup_mode=None, add_completion=False)


def add_to(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(
        app,
        name="eval",
        epilog=example(
            "gog eval --bench atlas",
            "gog eval -c fvqa.yaml --bench fvqa=fvqa_test.parquet --policy http://localhost:8000/v1#gog-sft",
            "gog eval compare base/prompted tuned/policy",
            more=MORE,
        ),
    )


@app.callback()
def evaluate(
    context: typer.Context,
    bench: Annotated[
        list[str] | None,
        typer.Option("--bench", metavar="NAME[:SPLIT][=PATH]", help="A benchmark; may be repeated."),
    ] = None,
    policy: Annotated[
        str | None, typer.Option("--policy", metavar="ADDRESS", help="The model; the config's labeller unless given.")
    ] = None,
    judge: Annotated[
        str | None, typer.Option("--judge", metavar="ADDRESS", help="The judge; the config's unless given.")
    ] = None,
    paradigm: Annotated[
        list[str] | None,
        typer.Option("--paradigm", metavar="NAME", help=f"One of {', '.join(ALL)}; may be repeated; all unless given."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="NUMBER", help="The first so many items of each benchmark.")
    ] = None,
    judge_all: Annotated[
        bool, typer.Option("--judge-all", help="Ask the judge of every answer, for its agreement with the rules.")
    ] = False,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the evaluation in the lake.")] = "eval",
    config: ConfigOption = None,
    lake: LakeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer benchmarks and score the answers; goes on where it stopped.

    Official and judge protocol side by side, with 95% intervals, beside the paper's numbers. Answers and results are
    kept in LAKE/evals/NAME. What the outside failed to answer is unknown, never wrong, and asked again next time.
    """
    if context.invoked_subcommand is not None:
        return
    from gog.pipelines.eval_report import print_results
    from gog.pipelines.eval_results import results_of, write_results
    from gog.pipelines.evaluate import Bench, Evaluation
    from gog.pipelines.summary import console_for

    if not bench:
        raise UseError("name a benchmark: `gog eval --bench atlas`, or --bench fvqa=fvqa_test.parquet")
    benches = [Bench.parse(text) for text in bench]
    if len({one.name for one in benches}) < len(benches):
        raise UseError("a benchmark is named twice: give each split an evaluation of its own with --name")
    chosen = config_of(config, lake)
    if judge is not None:
        chosen = chosen.model_copy(update={"judge": judge})
    evaluation = Evaluation(chosen, policy or chosen.labeller, name, judge_all=judge_all)
    evaluation.begin()
    parts = [_answered(evaluation, one, _paradigms(paradigm), limit) for one in benches]
    results = results_of(evaluation, parts)
    path = write_results(evaluation, results)
    if as_json:
        print_json(results)
    else:
        print_results(results, console_for(sys.stdout))
        print(f"\n{path}")
    left = sum(part.left for part in parts)
    failed = sum(bool(row.failure) for part in parts for rows in part.answered.values() for row in rows.values())
    if left or failed:
        print(f"gog: {left + failed:,} answers are missing; the same command asks for them again", file=sys.stderr)
        raise typer.Exit(FELL_SHORT)


def _paradigms(named: list[str] | None) -> "list[Paradigm]":
    from gog.transforms.evaluate.paradigms import Paradigm

    unknown = [name for name in named or () if name not in ALL]
    if unknown:
        raise UseError(f"there is no paradigm {unknown[0]!r}: one of {', '.join(ALL)}")
    return [Paradigm(name) for name in ALL if name in (named or ALL)]


def _answered(evaluation: "Evaluation", bench: "Bench", paradigms: "list[Paradigm]", limit: int | None) -> Any:
    from gog.pipelines.commands.counting import Counting

    with Counting(f"{bench.name} {bench.split}", sys.stderr) as counting:
        return evaluation.run(bench, paradigms, limit=limit, told=counting.told)


A = Annotated[str, typer.Argument(metavar="A", help="Name of an evaluation, or its results.json, and /PARADIGM.")]
B = Annotated[str, typer.Argument(metavar="B", help="The one that is held against it.")]


@app.command(epilog=example("gog eval compare base tuned", "gog eval compare base/prompted tuned/policy --json"))
def compare(a: A, b: B, lake: LakeOption = None, as_json: JsonOption = False) -> None:
    """Whether B differs from A by more than chance: a paired test, item by item.

    Differences are B minus A, with 95% intervals and p of the paired bootstrap, and McNemar's exact test.
    """
    from gog.pipelines.eval_report import print_comparisons
    from gog.pipelines.eval_results import comparisons, read_results
    from gog.pipelines.summary import console_for

    folder = lake or "./lake"
    found = comparisons(read_results(folder, a), read_results(folder, b))
    if as_json:
        print_json(
            [
                {"benchmark": bench, "paradigm": paradigm, "protocol": protocol} | asdict(compared)
                for bench, paradigm, protocol, compared in found
            ]
        )
    else:
        print_comparisons(found, console_for(sys.stdout))


@app.command(epilog=example("gog eval agreement base", "gog eval agreement base other-judge"))
def agreement(
    a: A,
    b: Annotated[str | None, typer.Argument(metavar="B", help="The same answers, judged by another.")] = None,
    lake: LakeOption = None,
    as_json: JsonOption = False,
) -> None:
    """How far the rules agree with a judge, or two judges with each other: Cohen's kappa.

    With one evaluation, which should have been made with --judge-all: its rules against its judge. With two: judge
    against judge, over the same items.
    """
    from gog.pipelines.eval_report import print_agreements
    from gog.pipelines.eval_results import agreements, read_results
    from gog.pipelines.summary import console_for

    folder = lake or "./lake"
    first = read_results(folder, a)
    rows: list[tuple[str, str, Any, Any]]
    if b is None:
        rows = [
            (bench, paradigm, found["rules_and_judge"]["decided"], found["rules_and_judge"]["agreement"])
            for bench, part in first[0]["benchmarks"].items()
            for paradigm, found in part["paradigms"].items()
            if first[1] in ("", paradigm)
        ]
    else:
        second = read_results(folder, b)
        rows = [(bench, paradigm, None, asdict(found)) for bench, paradigm, found in agreements(first, second)]
    if as_json:
        keys = ("benchmark", "paradigm", "decided", "agreement")
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
    else:
        title = "Rules against the judge" if b is None else f"The judge of {a} against that of {b}"
        print_agreements(rows, title, console_for(sys.stdout))

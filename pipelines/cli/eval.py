"""Answer benchmarks, score the answers, compare them.

Official and judge protocol side by side, with 95% intervals, beside the paper's numbers. Answers and results are
kept in LAKE/evals/NAME. What the outside failed to answer is unknown, never wrong, and asked again next time.
Whatever stopped it, the same command goes on.
"""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from gog.pipelines.cli.errors import FellShortError, UseError
from gog.pipelines.cli.options import (
    ConfigOption,
    DemoOption,
    JsonOption,
    LakeOption,
    command_app,
    example,
    option,
    print_json,
)
from gog.pipelines.cli.targets import config_of, lake_of
from gog.pipelines.lake.one_line import one_line

if TYPE_CHECKING:
    from gog.pipelines.evaluate.run import Bench, Evaluated, Evaluation
    from gog.transforms.evaluate.paradigms import Paradigm

ALL = ("direct", "prompted", "full-search", "policy")
MORE = (
    "Benchmarks: fvqa, infoseek, simplevqa, mmsearch, livevqa, dynvqa, each with =PATH of its published files, and "
    "atlas, which is bundled. A split stands behind a colon: livevqa:News=data/livevqa. Any other name is one of your "
    "own questions: mine=FILE, rows in the form of the config's source, or YAML with a `source` of its own."
)

app = command_app(
    help=__doc__,
    invoke_without_command=True,
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
        list[str] | None, option("--bench", "NAME[:SPLIT][=PATH]", "A benchmark; may be repeated.")
    ] = None,
    policy: Annotated[
        str | None, option("--policy", "ADDRESS", "The model; the config's labeller unless given.")
    ] = None,
    judge: Annotated[
        list[str] | None, option("--judge", "ADDRESS", "The judge, the config's unless given; repeated for a panel.")
    ] = None,
    paradigm: Annotated[
        list[str] | None, option("--paradigm", "NAME", f"One of {', '.join(ALL)}; may be repeated; all unless given.")
    ] = None,
    limit: Annotated[
        int | None, option("--limit", "NUMBER", "The first so many items of each benchmark.", min=1)
    ] = None,
    judge_all: Annotated[
        bool, typer.Option("--judge-all", help="Ask the judge of every answer, for its agreement with the rules.")
    ] = False,
    name: Annotated[str, option("--name", "NAME", "Name of the evaluation in the lake.")] = "eval",
    config: ConfigOption = None,
    demo: DemoOption = False,
    lake: LakeOption = None,
    as_json: JsonOption = False,
) -> None:
    if context.invoked_subcommand is not None:
        return
    from gog.pipelines.evaluate.results import results_of, write_results
    from gog.pipelines.evaluate.run import Bench, Evaluation
    from gog.pipelines.evaluate.tables import print_results
    from gog.pipelines.views.summary import console_for

    if not bench:
        raise UseError("name a benchmark: `gog eval --bench atlas`, or --bench fvqa=fvqa_test.parquet")
    benches = [Bench.parse(text) for text in bench]
    if len({one.name for one in benches}) < len(benches):
        raise UseError("a benchmark is named twice: give each split an evaluation of its own with --name")
    paradigms = _paradigms(paradigm)
    chosen = config_of(config, lake, demo=demo)
    if judge:
        chosen = chosen.model_copy(update={"judge": judge[0], "panel": tuple(judge[1:])})
    evaluation = Evaluation(chosen, policy or chosen.labeller, name, judge_all=judge_all)
    with evaluation.begun():
        items = [evaluation.check(one, limit) for one in benches]  # of all, before the first costs anything
        parts = [_run(evaluation, one, paradigms, limit, count) for one, count in zip(benches, items, strict=True)]
        results = results_of(evaluation, parts)
        path = write_results(evaluation, results)
    if as_json:
        print(results.to_json())
    else:
        print_results(results, console_for(sys.stdout))
        print(f"\n{path}")
    missing = sum(part.left + part.unsettled for part in parts)
    if missing:
        why = next((f" ({one_line(part.why, 200)})" for part in parts if part.why), "")
        raise FellShortError(f"{missing:,} answers are missing{why}; the same command asks for them again")
    for part in parts:
        if part.dropped and not any(part.answered.values()):
            reason, count = part.dropped.most_common(1)[0]
            raise FellShortError(
                f"{part.bench.name}: nothing could be asked; most left as {reason} ({count:,} questions)"
            )


def _paradigms(named: list[str] | None) -> "list[Paradigm]":
    from gog.transforms.evaluate.paradigms import Paradigm

    unknown = [name for name in named or () if name not in ALL]
    if unknown:
        raise UseError(f"there is no paradigm {unknown[0]!r}: one of {', '.join(ALL)}")
    return [Paradigm(name) for name in ALL if name in (named or ALL)]


def _run(
    evaluation: "Evaluation", bench: "Bench", paradigms: "list[Paradigm]", limit: int | None, items: int
) -> "Evaluated":
    from gog.pipelines.cli.progress import AnswerCount

    with AnswerCount(f"{bench.name} {bench.split}", items * len(paradigms), sys.stderr) as answers:
        return evaluation.run(bench, paradigms, limit=limit, told=answers.told)


A = Annotated[str, typer.Argument(metavar="A", help="Name of an evaluation, or its results.json, and /PARADIGM.")]
B = Annotated[str, typer.Argument(metavar="B", help="The one that is held against it.")]


@app.command(epilog=example("gog eval compare base tuned", "gog eval compare base/prompted tuned/policy --json"))
def compare(a: A, b: B, lake: LakeOption = None, as_json: JsonOption = False) -> None:
    """Whether B differs from A by more than chance: a paired test, item by item.

    Differences are B minus A, with 95% intervals and p of the paired bootstrap, and McNemar's exact test.
    """
    from gog.pipelines.evaluate.results import comparisons, read_place
    from gog.pipelines.evaluate.tables import print_comparisons
    from gog.pipelines.views.summary import console_for

    folder = lake_of(lake)
    compared = comparisons(read_place(folder, a), read_place(folder, b))
    if as_json:
        print_json([one._asdict() | {"comparison": asdict(one.comparison)} for one in compared])
    else:
        print_comparisons(compared, console_for(sys.stdout))


@app.command(epilog=example("gog eval agreement base", "gog eval agreement base other-judge"))
def agreement(
    a: A,
    b: Annotated[str | None, typer.Argument(metavar="B", help="The same answers, judged by another.")] = None,
    lake: LakeOption = None,
    as_json: JsonOption = False,
) -> None:
    """How far the rules agree with a judge, or two judges with each other: Cohen's kappa.

    With one evaluation: its rules against its judge. With two: judge against judge, over equal answers to the same
    items. A judge says more of the rules where it was asked of every answer, with --judge-all.
    """
    from gog.pipelines.evaluate.results import agreements, read_place
    from gog.pipelines.evaluate.tables import print_judges, print_rules_and_judge
    from gog.pipelines.views.summary import console_for

    folder = lake_of(lake)
    first = read_place(folder, a)
    if b is not None:
        agreed = agreements(first, read_place(folder, b))
        if as_json:
            print_json([row._asdict() | {"agreement": asdict(row.agreement)} for row in agreed])
        else:
            print_judges(agreed, f"The judge of {a} against that of {b}", console_for(sys.stdout))
        return
    rows = [
        (bench, str(paradigm), results.rules_and_judge)
        for bench, part in first.results.benchmarks.items()
        for paradigm, results in part.paradigms.items()
        if first.paradigm in (None, paradigm)
    ]
    if as_json:
        print_json([{"benchmark": bench, "paradigm": paradigm} | asdict(agreed) for bench, paradigm, agreed in rows])
    else:
        print_rules_and_judge(rows, "Rules against the judge", console_for(sys.stdout))

"""Funnel, spend, rate and ETA of a run, live or not.

Without --run: the lake's run, or a line for each where there are several.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from gog.pipelines.cli.options import JsonOption, LakeOption, OfConfig, OfRun, example, print_json
from gog.pipelines.cli.targets import runs_of
from gog.pipelines.show.words import spell

if TYPE_CHECKING:
    from gog.pipelines.views.status import Status

WORDS = {
    "live": "at work now",
    "done": "done",
    "stopped": "stopped at a ceiling; `gog run` with a higher one goes on",
    "unfinished": "not finished; `gog run` goes on where it stopped",
    "failed": "failed: rows were lost, which is a bug",
}
EXAMPLES = example(
    "gog status",
    "gog status --run fvqa --json",
    "watch -n 5 gog status --run fvqa",
    "gog status --lake s3://bucket/lake --metrics > gog.prom",
)
MetricsOption = Annotated[
    bool, typer.Option("--metrics", help="Print OpenMetrics text for whoever scrapes; of all runs without --run.")
]


def status(
    config: OfConfig = None,
    lake: LakeOption = None,
    name: OfRun = None,
    as_json: JsonOption = False,
    as_metrics: MetricsOption = False,
) -> None:
    if as_json and as_metrics:
        raise typer.BadParameter("it is either --json or --metrics")
    from gog.pipelines.views.status import status_of

    statuses = [status_of(run.lake, run.name) for run in runs_of(config, lake, name)]
    if as_metrics:
        from gog.pipelines.views.metrics import openmetrics

        sys.stdout.write(openmetrics(statuses))
    elif as_json:
        lines = [_plain(state) for state in statuses]
        print_json(lines[0] if len(lines) == 1 else lines)
    elif len(statuses) == 1:
        _show(statuses[0])
    else:
        _list(statuses)
        print("One of them in full: gog status --run NAME")


def _plain(state: "Status") -> dict[str, object]:
    plain = asdict(state)
    summary: dict[str, object] = plain.pop("summary")
    return plain | summary


def _list(statuses: Sequence["Status"]) -> None:
    """A line for each run."""
    from gog.pipelines.views.summary import console_for, plain_table

    columns = ("run", "=state", ">kept", ">calls", ">from\nstore", ">failed", ">tokens", ">cost $", "=time")
    lines = []
    for state in statuses:
        counts = (state.kept, state.calls, state.from_store, state.failed, state.tokens)
        figures = [f"{count:,}" for count in counts]
        lines.append((state.run, state.state, *figures, f"{state.cost:,.2f}", spell(state.hours * 3600)))
    console_for(sys.stdout).print(plain_table("Runs", columns, lines))


def _facts(state: "Status") -> list[str]:
    facts = [f"{state.kept:,} kept", f"{state.calls:,} calls made", f"{state.from_store:,} answered from the store"]
    facts += [f"{state.failed:,} failed"] if state.failed else []
    facts += [f"{state.tokens:,} tokens", f"${state.cost:,.2f}", spell(state.hours * 3600)]
    return facts


def _show(state: "Status") -> None:
    from rich.text import Text

    from gog.pipelines.views.summary import console_for, print_summary

    console = console_for(sys.stdout)
    words = WORDS[state.state]
    if state.state == "stopped" and "max_" not in state.detail and "ceiling" not in state.detail:
        words = "stopped; `gog run` goes on once this is mended"
    say = f"{words}: {state.detail}" if state.detail else words
    console.print(Text(f"Run {state.run}: {say}"))
    console.print(Text(" | ".join(_facts(state))))
    if state.state != "done":
        console.print(Text("Steps:  " + "   ".join(f"{step.step} {step.done}/{step.of}" for step in state.steps)))
    if state.per_minute is not None:
        step = "ingest and synthesize" if state.step in {"ingest", "synthesize"} else state.step
        eta = f"about {spell(state.eta_s)} to go" if state.eta_s is not None else "too early to say how long"
        rate = f"{state.per_minute / 60:,.1f} questions a second in the last minute"
        console.print(Text(f"Now:    {step or 'at its end'}, {rate}, {eta}"))
    print()
    print_summary(state.summary, console)

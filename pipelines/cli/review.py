"""What people say of trajectories."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from gog.pipelines.cli.errors import FellShortError
from gog.pipelines.cli.options import JsonOption, LakeOption, OfConfig, OfRun, command_app, example, option, print_json
from gog.pipelines.cli.targets import config_of, one_run

if TYPE_CHECKING:
    from rich.console import Console

    from gog.pipelines.evaluate.opinions import Opinions
    from gog.pipelines.lake.reviews import Pair, ReviewStats

SHOWN = 20
"""Trajectories that are named, of those on which rules and judge disagree."""

app = command_app(help=__doc__, no_args_is_help=True)


@app.callback()
def review() -> None:
    """A group, though there is one command in it."""


@app.command(epilog=example("gog review stats", "gog review stats --run fvqa --ask-judge 200"))
def stats(
    config: OfConfig = None,
    lake: LakeOption = None,
    name: OfRun = None,
    ask: Annotated[
        int | None, option("--ask-judge", "NUMBER", "Ask the judge about so many answers that rules settled.", min=1)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """How far people, the rules, the judge and the judges of a panel agree with each other.

    Cohen's kappa and the share of equal decisions, each with its 95% interval. A run asks the judge only where no rule
    settles an answer; how far the two agree is seen once it is asked about others, which --ask-judge does: half of
    them right by rule, half of them wrong. The store keeps what it says.
    """
    from gog.pipelines.evaluate.opinions import ask_judge, panel_pairs
    from gog.pipelines.lake.review_files import read_reviews
    from gog.pipelines.lake.reviews import review_stats
    from gog.pipelines.show.web.records import verdicts_of
    from gog.pipelines.views.database import open_lake
    from gog.pipelines.views.summary import console_for

    run = one_run(config, lake, name)
    latest = read_reviews(run.lake, run.name)
    agreement = review_stats(latest, verdicts_of(run.lake, run.name, list(latest)))
    with open_lake(run.folder) as connection:
        panel = panel_pairs(connection)
        chosen = config_of(config, str(run.lake.root), run.name) if ask else None
        asked = ask_judge(connection, chosen, ask) if chosen and ask else None
    if as_json:
        of_judge = {"rules_and_judge": asdict(asked) if asked else None, "panel": _pairs(panel)}
        print_json(_plain(agreement) | of_judge)
    else:
        console = console_for(sys.stdout)
        if agreement.reviewers:
            _print(agreement, console)
        else:
            print(f"nobody has reviewed anything in the run {run.name!r} yet; `gog view` is where it is done")
        if panel:
            console.print(_pair_table("Judges of the panel", panel))
        if asked:
            _print_opinions(asked, console)
    if asked and asked.stopped:
        raise FellShortError(f"{asked.stopped}; the same command goes on")


def _pairs(rows: "tuple[Pair, ...]") -> list[dict[str, Any]]:
    return [
        {
            "first": pair.first,
            "second": pair.second,
            "both_decided": pair.agreement.n,
            "agreed": _estimate(pair.agreement.agreed),
            "kappa": _estimate(pair.agreement.kappa),
            "labels": pair.agreement.labels,
            "confusion": pair.agreement.confusion,
        }
        for pair in rows
    ]


def _plain(stats: "ReviewStats") -> dict[str, Any]:
    return {
        "states": {state.value: count for state, count in stats.states.items()},
        "reviewers": stats.reviewers,
        "reasons": stats.reasons,
        "people": _pairs(stats.people),
        "verification": _pairs(stats.verification),
        "rules": _pairs(stats.rules),
        "judge": _pairs(stats.judge),
    }


def _estimate(estimate: Any) -> dict[str, float | None]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def _print(stats: "ReviewStats", console: "Console") -> None:
    from gog.pipelines.views.summary import plain_table

    print(", ".join(f"{count:,} {state}" for state, count in stats.states.items()))
    people = [(who, *(f"{count:,}" for count in counts.values())) for who, counts in stats.reviewers.items()]
    columns = ("reviewer", "accepted", "in bulk", "rejected", "boxes", "answers", "comments")
    console.print(plain_table("", columns, people))
    if stats.reasons:
        reasons = [f"{why.replace('_', ' ')} {count:,}" for why, count in stats.reasons.items()]
        print(f"rejected for: {', '.join(reasons)}")
    console.print(_pair_table("", (*stats.people, *stats.verification, *stats.rules, *stats.judge)))


def _pair_table(title: str, pairs: "tuple[Pair, ...]") -> Any:
    from gog.pipelines.views.summary import plain_table

    lines = [
        (
            f"{pair.first} and {pair.second}",
            f"{pair.agreement.n:,}",
            *map(_told, (pair.agreement.agreed, pair.agreement.kappa)),
        )
        for pair in pairs
    ]
    return plain_table(title, ("between", "both", "agreed", "kappa"), lines)


def _print_opinions(asked: "Opinions", console: "Console") -> None:
    from gog.pipelines.views.summary import plain_table

    lines = [
        (f"{one.rules}", *(f"{number:,}" for number in (one.settled, one.asked, one.unknown)), _told(one.agreed))
        for one in (asked.right, asked.wrong)
    ]
    columns = ("rules say", ">in the run", ">asked", ">judge says nothing", "judge agrees")
    console.print(plain_table("Rules and the judge", columns, lines))
    if asked.disagreed:
        more = f" and {len(asked.disagreed) - SHOWN:,} more" if len(asked.disagreed) > SHOWN else ""
        print(f"they disagree on {', '.join(asked.disagreed[:SHOWN])}{more}")


def _told(estimate: Any) -> str:
    if estimate.value is None:
        return "-"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"

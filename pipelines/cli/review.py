"""What people say of trajectories."""

import sys
from typing import TYPE_CHECKING, Any

from gog.pipelines.cli.options import JsonOption, LakeOption, OfConfig, OfRun, command_app, example, print_json
from gog.pipelines.cli.targets import one_run

if TYPE_CHECKING:
    from gog.pipelines.lake.reviews import Pair, ReviewStats

app = command_app(help=__doc__, no_args_is_help=True)


@app.callback()
def review() -> None:
    """A group, though there is one command in it."""


@app.command(epilog=example("gog review stats", "gog review stats --run fvqa --json"))
def stats(config: OfConfig = None, lake: LakeOption = None, name: OfRun = None, as_json: JsonOption = False) -> None:
    """How far people agree with each other, with the rules and with the judge.

    Cohen's kappa and the share of equal decisions, each with its 95% interval.
    """
    from gog.pipelines.lake.review_files import read_reviews
    from gog.pipelines.lake.reviews import review_stats
    from gog.pipelines.show.web.records import verdicts_of

    run = one_run(config, lake, name)
    latest = read_reviews(run.lake, run.name)
    agreement = review_stats(latest, verdicts_of(run.lake, run.name, list(latest)))
    if as_json:
        print_json(_plain(agreement))
    elif not agreement.reviewers:
        print(f"nobody has reviewed anything in the run {run.name!r} yet; `gog view` is where it is done")
    else:
        _print(agreement)


def _plain(stats: "ReviewStats") -> dict[str, Any]:
    def pairs(rows: "tuple[Pair, ...]") -> list[dict[str, Any]]:
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

    return {
        "states": {state.value: count for state, count in stats.states.items()},
        "reviewers": stats.reviewers,
        "people": pairs(stats.people),
        "verification": pairs(stats.verification),
        "rules": pairs(stats.rules),
        "judge": pairs(stats.judge),
    }


def _estimate(estimate: Any) -> dict[str, float | None]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def _print(stats: "ReviewStats") -> None:
    from gog.pipelines.views.summary import console_for, plain_table

    console = console_for(sys.stdout)
    print(", ".join(f"{count:,} {state}" for state, count in stats.states.items()))
    people = [(who, *(f"{count:,}" for count in counts.values())) for who, counts in stats.reviewers.items()]
    console.print(plain_table("", ("reviewer", "accepted", "rejected", "boxes", "comments"), people))
    pairs = [
        (
            f"{pair.first} and {pair.second}",
            f"{pair.agreement.n:,}",
            *map(_told, (pair.agreement.agreed, pair.agreement.kappa)),
        )
        for pair in (*stats.people, *stats.verification, *stats.rules, *stats.judge)
    ]
    console.print(plain_table("", ("between", "both", "agreed", "kappa"), pairs))


def _told(estimate: Any) -> str:
    if estimate.value is None:
        return "-"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"

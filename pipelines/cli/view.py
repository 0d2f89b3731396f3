"""`gog view` and `gog review stats`: trajectories in the browser, and what people made of them."""

import asyncio
import getpass
import signal
import sys
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gog.pipelines.cli.common import (
    JsonOption,
    LakeOption,
    OfConfig,
    OfRun,
    UseError,
    example,
    listening,
    one_run,
    print_json,
    runs_of,
)

if TYPE_CHECKING:
    from gog.pipelines.lake.reviews import Pair, ReviewStats
    from gog.pipelines.show.web.server import Viewer

PORT: Final = 8322
MORE: Final = (
    "It listens on this machine alone. From another one: ssh -L 8322:127.0.0.1:8322 HOST, then the same address. "
    "Press ? in the browser for the keys. Reviews are kept in LAKE/runs/RUN/reviews as they are made."
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("view", epilog=example("gog view", "gog view --lake /data/lake --run fvqa --reviewer ana", more=MORE))(
        view
    )
    review = typer.Typer(help="What people say of trajectories.", no_args_is_help=True, rich_markup_mode=None)
    review.command("stats", epilog=example("gog review stats", "gog review stats --run fvqa --json"))(stats)
    app.add_typer(review, name="review")


def view(
    config: OfConfig = None,
    lake: LakeOption = None,
    name: Annotated[
        str | None, typer.Option("--run", metavar="NAME", help="The run to open first; all of the lake can be seen.")
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, metavar="NUMBER", help="Port to listen on; 0 takes a free one.")
    ] = PORT,
    reviewer: Annotated[
        str | None, typer.Option("--reviewer", metavar="NAME", help="Who reviews; your login unless given.")
    ] = None,
) -> None:
    """Look at trajectories in the browser, and review them.

    A list to filter and sort; a page for each trajectory with image, boxes, crops, turns, evidence and verdict; two
    attempts side by side. Accept, reject, correct a box, comment: `gog export --reviewed` honours it. Ctrl-C ends it.
    """
    from gog.pipelines.lake.lake import Lake
    from gog.pipelines.lake.review_files import reviewer_name
    from gog.pipelines.show.web.server import Viewer

    places = runs_of(config, lake, name)
    try:
        who = reviewer_name(reviewer if reviewer is not None else _login())
    except ValueError as error:
        raise UseError(f"--reviewer: {error}") from None
    opened = Lake(Path(places[0].lake), create=False)
    first = places[0].run if len(places) == 1 else None
    asyncio.run(_serve(Viewer(opened, who, first), port))


def _login() -> str:
    with suppress(KeyError, OSError, ImportError):
        return getpass.getuser()
    return "me"


async def _serve(viewer: "Viewer", port: int) -> None:
    """Serve until the process is interrupted or told to end."""
    from gog.pipelines.show.web.server import ADDRESS, serving

    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, ended.set)
    try:
        async with AsyncExitStack() as stack:
            with listening(ADDRESS, port):
                address = await stack.enter_async_context(serving(viewer, port))
            print(f"Open {address} in a browser; Ctrl-C ends it")
            sys.stdout.flush()
            await ended.wait()
    finally:
        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(signum)


def stats(
    config: OfConfig = None,
    lake: LakeOption = None,
    name: OfRun = None,
    as_json: JsonOption = False,
) -> None:
    """How far people agree with each other and with the judge.

    Cohen's kappa and the share of equal decisions, each with its 95% interval.
    """
    from gog.pipelines.lake.lake import Lake
    from gog.pipelines.lake.review_files import read_reviews
    from gog.pipelines.lake.reviews import review_stats
    from gog.pipelines.show.web.records import verdicts_of

    place = one_run(config, lake, name)
    opened = Lake(Path(place.lake), create=False)
    latest = read_reviews(opened, place.run)
    found = review_stats(latest, verdicts_of(opened, place.run, list(latest)))
    if as_json:
        print_json(_plain(found))
    elif not found.reviewers:
        print(f"nobody has reviewed anything in the run {place.run!r} yet; `gog view` is where it is done")
    else:
        _print(found)


def _plain(found: "ReviewStats") -> dict[str, Any]:
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
        "states": {state.value: count for state, count in found.states.items()},
        "reviewers": found.reviewers,
        "people": pairs(found.people),
        "verification": pairs(found.verification),
        "judge": pairs(found.judge),
    }


def _estimate(estimate: Any) -> dict[str, float | None]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def _print(found: "ReviewStats") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from gog.pipelines.lake.one_line import one_line
    from gog.pipelines.views.summary import console_for

    console = console_for(sys.stdout)
    print(", ".join(f"{count:,} {state}" for state, count in found.states.items()))
    people = Table("reviewer", "accepted", "rejected", "boxes", "comments", box=SIMPLE_HEAD, pad_edge=False)
    for who, counts in found.reviewers.items():
        people.add_row(Text(one_line(who)), *(f"{count:,}" for count in counts.values()))
    console.print(people)
    pairs = Table("between", "both", "agreed", "kappa", box=SIMPLE_HEAD, pad_edge=False)
    for pair in (*found.people, *found.verification, *found.judge):
        words = Text(one_line(f"{pair.first} and {pair.second}"))
        pairs.add_row(words, f"{pair.agreement.n:,}", _told(pair.agreement.agreed), _told(pair.agreement.kappa))
    console.print(pairs)


def _told(estimate: Any) -> str:
    if estimate.value is None:
        return "-"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"

"""Rehearse a run: the planner as an HTTP endpoint.

An OpenAI-compatible server, answered by the embedded rule-based program. Prints the lines of a config that call
it; without faults, a run with them makes the same records as one with the embedded planner. Ctrl-C ends it.
"""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gog.pipelines.cli.errors import UseError
from gog.pipelines.cli.options import example, option
from gog.pipelines.cli.serving import serve

if TYPE_CHECKING:
    from gog.transforms.atlas.server.faults import Fault, Manners

PORT: Final = 8321
MORE: Final = (
    "Faults are 429, 500, 503, stall, cut, cut-body, malformed, truncated, no-choices and wrong-type, each with its "
    "share of the requests. They are drawn by the seed, the request and how often it came: a rehearsal can be "
    "repeated."
)
FAULTS: Final = "gog serve-planner --latency 0.05 --fault 429=0.05 --fault stall=0.01"
EXAMPLES = example("gog serve-planner", FAULTS, "gog serve-planner --rate-limit 20 --no-retry-after", more=MORE)


def serve_planner(
    port: Annotated[int, option("--port", "NUMBER", "Port to listen on; 0 takes a free one.", min=0, max=65535)] = PORT,
    host: Annotated[str, option("--host", "ADDRESS", "Address to listen on.")] = "127.0.0.1",
    fault: Annotated[list[str] | None, option("--fault", "NAME=SHARE", "A fault to order; may be repeated.")] = None,
    latency: Annotated[float, option("--latency", "SECONDS", "What an answer takes.")] = 0.0,
    tail: Annotated[str | None, option("--tail", "SHARE:SECONDS", "Slower answers, as 0.05:0.6.")] = None,
    rate_limit: Annotated[
        float | None, option("--rate-limit", "NUMBER", "Requests a second; what is beyond gets a 429.")
    ] = None,
    retry_after: Annotated[
        bool, typer.Option("--retry-after/--no-retry-after", help="Whether a 429 or 503 says when to come again.")
    ] = True,
    stall: Annotated[float, option("--stall", "SECONDS", "How long a stall lasts.")] = 600.0,
    seed: Annotated[int, option("--seed", "NUMBER", "Seed of every draw.")] = 0,
) -> None:
    from gog.transforms.atlas.server.faults import Manners
    from gog.transforms.atlas.server.server import PlannerServer, serving

    share, seconds = _tail(tail)
    try:
        manners = Manners(
            shares=_shares(fault or []),
            latency_s=latency,
            tail_share=share,
            tail_s=seconds,
            retry_after_s=1.0 if retry_after else None,
            stall_s=stall,
            rate_limit=rate_limit,
            seed=seed,
        )
    except ValueError as error:
        raise UseError(str(error)) from None
    server = PlannerServer(manners)
    asyncio.run(serve(serving(server, host, port), host, port, partial(_tell, manners)))
    counted = server.statistics
    met = ", ".join(f"{name} {count}" for name, count in counted["faults"].items()) or "none"
    print(f"{counted['requests']} requests, {counted['answered']} answered; faults: {met}")


def _tell(manners: "Manners", address: str) -> None:
    from gog.transforms.atlas.planner.policy import planner_id
    from gog.transforms.atlas.server.server import SKILLS

    print(f"A rule-based program answers at {address}; Ctrl-C ends it. In a config:\n")
    for role, skill in zip(("teacher", "judge", "labeller"), SKILLS, strict=True):
        print(f'{role}: "{address}#{planner_id(skill)}"')
    ordered = ", ".join(f"{fault} {share:.1%}" for fault, share in manners.shares.items())
    if ordered:
        print(f"\nFaults: {ordered}; drawn with seed {manners.seed}")
    if manners.rate_limit:
        print(f"\nAt most {manners.rate_limit:g} requests a second")
    print(f"\nWhat was asked so far: {address.removesuffix('/v1')}/stats")


def _shares(given: list[str]) -> "dict[Fault, float]":
    from gog.transforms.atlas.server.faults import Fault

    shares = {}
    for text in given:
        name, _, share = text.partition("=")
        if name not in set(Fault):
            raise UseError(f"--fault {text}: there is no fault {name!r}; there are {', '.join(Fault)}")
        shares[Fault(name)] = _number(share, f"--fault {text}: write NAME=SHARE, as {name}=0.05")
    return shares


def _tail(text: str | None) -> tuple[float, float]:
    if text is None:
        return 0.0, 0.0
    share, _, seconds = text.partition(":")
    advice = f"--tail {text}: write SHARE:SECONDS, as 0.05:0.6"
    return _number(share, advice), _number(seconds, advice)


def _number(text: str, advice: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UseError(advice) from None

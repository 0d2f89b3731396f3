"""What came of a run, for its page: DuckDB adds up, nothing of one trajectory is read."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

import duckdb

from gog.pipelines.lake.lake import Lake
from gog.pipelines.show.web.call_times import TIMES, Pace, pace_of_calls
from gog.pipelines.show.web.measures import Rate
from gog.pipelines.show.web.opened import opened
from gog.pipelines.views.database import rows_of
from gog.transforms.services.store.records import Tally

MOST: Final = 6
"""Lines of what stands out."""
Row = dict[str, Any]


class Reason(NamedTuple):
    """Why things left a stage, how many, their share of what entered it, and where they are listed."""

    code: str
    rejects: int
    share: float | None
    link: str


class Step(NamedTuple):
    """A stage of the funnel; `whole` is the largest count of its unit, `link` lists what passed, where a list can."""

    stage: str
    unit: str
    entered: int
    passed: int
    rejected: int
    balanced: bool
    whole: int
    reasons: list[Reason]
    link: str

    @property
    def parts(self) -> list[tuple[str, float]]:
        """What its bar is made of: what passed, then what left, by reason."""
        left = [(f"r{min(place, 5)}", float(reason.rejects)) for place, reason in enumerate(self.reasons)]
        return [("passed", float(self.passed)), *left]


class Service(NamedTuple):
    """What a service was asked for one purpose."""

    provider: str
    kind: str
    purpose: str
    calls: int
    from_store: int
    failed: int
    tokens: int
    cost: float
    median_s: float | None

    @property
    def name(self) -> str:
        """The provider without the version of its index, which is long and says little."""
        return self.provider.partition("@")[0]


class Mix(NamedTuple):
    """Trajectories of one behaviour or one origin, or all of them."""

    name: str
    attempts: int
    share: Rate
    """Of all trajectories."""
    right: Rate
    """Of those that could be settled."""
    unknown: int
    """That verification could not settle."""
    kept: int
    kept_share: Rate
    """Of all that was kept."""


class Level(NamedTuple):
    """How many seeds are of a level for a policy."""

    policy: str
    level: int
    seeds: int
    share: Rate
    pass_rate: float


class Trouble(NamedTuple):
    """A service, or a search, that failed or found nothing: how often, and where to look."""

    name: str
    what: str
    rate: Rate
    link: str


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it."""

    seeds: int
    tried: int
    """Seeds with at least one trajectory."""
    solved: Rate
    """Seeds with at least one right trajectory, of those."""
    funnel: list[Step]
    services: list[Service]
    pace: Pace | None
    all: Mix | None
    behaviours: list[Mix]
    origins: list[Mix]
    levels: list[Level]
    costly: list[Row]
    unsolved: list[Row]
    troubles: list[Trouble]

    @property
    def verified(self) -> bool:
        """Whether anything was verified."""
        return self.all is not None and self.all.right.whole + self.all.unknown > 0

    @property
    def curated(self) -> bool:
        """Whether it was chosen from: a training keeps rollouts of which nothing is kept or left out."""
        return self.all is not None and (self.all.kept > 0 or any(step.stage == "curate" for step in self.funnel))

    @property
    def asked(self) -> int:
        """Seeds that were tried, those included of which no attempt gave an answer."""
        return self.solved.part + (self.unsolved[0]["of"] if self.unsolved else 0)

    @property
    def by_service(self) -> dict[str, list[Service]]:
        """The services' lines by name, the busiest and the costliest first."""
        groups: dict[str, list[Service]] = {}
        for service in self.services:
            groups.setdefault(service.name, []).append(service)
        return groups

    @property
    def calls(self) -> int:
        """Calls that were made."""
        return sum(s.calls - s.from_store for s in self.services)

    @property
    def cost(self) -> float:
        """US dollars."""
        return math.fsum(s.cost for s in self.services)

    @property
    def tokens(self) -> int:
        """Tokens of calls that were made."""
        return sum(s.tokens for s in self.services)

    @property
    def empty(self) -> bool:
        """Whether nothing was counted, called or tried yet."""
        return not (self.funnel or self.services or self.tried or self.seeds)


def facts_of(lake: Lake, run: str, tallies: Sequence[Tally] | None = None) -> Facts:
    """The facts of a run. Raises `duckdb.Error` on damaged parts.

    `tallies`: what a live run has asked so far, from its store; its table of events is written at its end.
    """
    with opened(lake, run) as views:
        return _facts(views, run, tallies)


def _facts(views: duckdb.DuckDBPyConnection, run: str, tallies: Sequence[Tally] | None) -> Facts:
    def rows(sql: str) -> list[Row]:
        return rows_of(views.execute(sql))

    mixes = rows(_MIXES)
    whole = next((row for row in mixes if row["kind"] == "all" and row["attempts"]), None)
    ((seeds,),) = views.execute("SELECT count(*) FROM seeds").fetchall()
    services = _services(rows("FROM spend")) if tallies is None else _tallied(tallies)
    return Facts(
        seeds=seeds,
        tried=whole["seeds"] if whole else 0,
        solved=Rate.of(whole["solved"], whole["seeds"]) if whole else Rate(0, 0),
        funnel=_funnel(run, rows("FROM funnel"), rows("FROM reasons")),
        services=services,
        pace=pace_of_calls(rows(TIMES)) if tallies is None else None,
        all=_mix(whole, whole) if whole else None,
        behaviours=[_mix(row, whole) for row in mixes if whole and row["kind"] == "behaviour"],
        origins=[_mix(row, whole) for row in mixes if whole and row["kind"] == "origin"],
        levels=_levels(rows("FROM levels")),
        costly=rows(f"FROM costliest({MOST})"),
        unsolved=rows(f"FROM unsolved({MOST})"),
        troubles=_troubles(run, services, rows(_FOUND)),
    )


_MIXES: Final = """
SELECT CASE WHEN grouping(behaviour) = 0 THEN 'behaviour' WHEN grouping(origin) = 0 THEN 'origin' ELSE 'all' END
        AS kind,
    coalesce(behaviour, origin, '') AS name, count(*) AS attempts, count(DISTINCT seed_id) AS seeds,
    count(*) FILTER (outcome = 'correct') AS correct,
    count(DISTINCT seed_id) FILTER (outcome = 'correct') AS solved,
    count(*) FILTER (outcome IN ('correct', 'wrong')) AS settled,
    count(DISTINCT seed_id) FILTER (outcome IN ('correct', 'wrong')) AS settled_seeds,
    count(*) FILTER (outcome = 'unknown') AS unknown, count(*) FILTER (kept) AS kept,
    count(DISTINCT seed_id) FILTER (kept) AS kept_seeds
FROM overview GROUP BY GROUPING SETS ((behaviour), (origin), ()) ORDER BY kind, name
"""

_FOUND: Final = """
SELECT tool, provider, count(*) AS calls, count(*) FILTER (failure IS NOT NULL) AS failed,
    count(*) FILTER (failure IS NULL AND hits = '[]') AS empty
FROM evidence GROUP BY tool, provider ORDER BY tool, provider
"""


def of_run(run: str, page: str = "", **query: object) -> str:
    """The address of a page of a run, or of its list; a query's empty values are left out."""
    given = {name: value for name, value in query.items() if value not in ("", None)}
    return f"/runs/{quote(run, safe='')}{page}" + (f"?{urlencode(given)}" if given else "")


def left_link(run: str, stage: str, unit: str, reason: str) -> str:
    """Where what left for a reason is listed: trajectories in the list, all else among the rejects."""
    if unit == "trajectory":
        return of_run(run, reason=reason)
    return of_run(run, "/rejects", stage=stage, unit=unit, reason=reason)


def _funnel(run: str, funnel: Sequence[Row], reasons: Sequence[Row]) -> list[Step]:
    largest: dict[str, int] = {}
    for line in funnel:
        largest[line["unit"]] = max(largest.get(line["unit"], 0), line["entered"], line["passed"] + line["rejected"])
    steps = []
    for line in funnel:
        stage, unit = line["stage"], line["unit"]
        why = [
            Reason(r["reason"], r["rejects"], r["share"], left_link(run, stage, unit, r["reason"]))
            for r in reasons
            if (r["stage"], r["unit"]) == (stage, unit)
        ]
        link = {"curate": of_run(run, kept="yes"), "synthesize": of_run(run)}.get(stage, "") if line["passed"] else ""
        counts = (line["entered"], line["passed"], line["rejected"], line["balanced"])
        steps.append(Step(stage, unit, *counts, largest[unit], why, link))
    return steps


def _services(spend: Sequence[Row]) -> list[Service]:
    return [
        Service(
            provider=row["provider"],
            kind=row["kind"],
            purpose=row["purpose"],
            calls=row["calls"],
            from_store=row["from_store"],
            failed=row["failed"],
            tokens=row["prompt_tokens"] + row["completion_tokens"],
            cost=row["cost"],
            median_s=row["median_s"],
        )
        for row in spend
    ]


def _tallied(tallies: Sequence[Tally]) -> list[Service]:
    lines = [
        Service(
            t.provider,
            t.kind,
            t.purpose,
            t.events,
            t.from_store,
            t.failed,
            t.prompt_tokens + t.completion_tokens,
            t.cost,
            None,
        )
        for t in tallies
    ]
    return sorted(lines, key=lambda line: (-line.cost, -line.calls, line.provider, line.kind, line.purpose))


def _mix(row: Row, whole: Row) -> Mix:
    return Mix(
        row["name"],
        row["attempts"],
        Rate.of(row["attempts"], whole["attempts"], whole["seeds"]),
        Rate.of(row["correct"], row["settled"], row["settled_seeds"]),
        row["unknown"],
        row["kept"],
        Rate.of(row["kept"], whole["kept"], whole["kept_seeds"]),
    )


def _levels(levels: Sequence[Row]) -> list[Level]:
    of_policy: dict[str, int] = {}
    for row in levels:
        of_policy[row["policy"]] = of_policy.get(row["policy"], 0) + row["seeds"]
    return [
        Level(r["policy"], r["level"], r["seeds"], Rate.of(r["seeds"], of_policy[r["policy"]]), r["pass_rate"])
        for r in levels
    ]


_LOOK: Final = {
    "screen": ("/rejects", {"stage": "screen"}),
    "verify": ("", {"outcome": "unknown"}),
    "episode": ("/rejects", {"stage": "synthesize"}),
    "compose": ("/rejects", {"stage": "synthesize"}),
    "label": ("/rejects", {"stage": "label"}),
}
"""By what a service was asked for, the list of what its failures left behind."""


def _troubles(run: str, services: Sequence[Service], found: Sequence[Row]) -> list[Trouble]:
    """The worst first."""
    troubles = []
    for service in services:
        if service.failed:
            page, query = _LOOK.get(service.purpose, ("", {}))
            link = of_run(run, page, **query) if query else ""
            name = f"{service.kind} for {service.purpose}, {service.name}"
            troubles.append(Trouble(name, "failed", Rate.of(service.failed, service.calls), link))
    for row in found:
        link = of_run(run, provider=row["provider"])
        name = f"{row['tool']}, {row['provider'].partition('@')[0]}"
        if row["empty"]:
            troubles.append(Trouble(name, "found nothing", Rate.of(row["empty"], row["calls"]), link))
        if row["failed"]:
            troubles.append(Trouble(name, "came back as a failure", Rate.of(row["failed"], row["calls"]), link))
    return sorted(troubles, key=lambda trouble: (-(trouble.rate.value or 0), trouble.name))[:MOST]

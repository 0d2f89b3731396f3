"""What the judge says of answers that rules settled: a run asks it only where they say unknown, so nothing there tells
how far the two agree. And how far the judges of a panel agree with each other.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import duckdb

from gog.pipelines.config.config import Config
from gog.pipelines.connect.services import begin, services_for
from gog.pipelines.evaluate.window import in_window
from gog.pipelines.lake.reviews import Pair
from gog.pipelines.views.database import fetch_records
from gog.schemas import Method, Outcome, Seed
from gog.schemas.reasons import STOP_REASONS
from gog.transforms.evaluate.protocols.agreement import agreement
from gog.transforms.evaluate.share import Share
from gog.transforms.services.protocols import ServiceError
from gog.transforms.verify.judge import JudgeReply, Ruling
from gog.transforms.verify.verdict import question_of

RULES: Final = (Method.EXACT, Method.ALIAS, Method.NUMBER, Method.DATE)
PURPOSE: Final = "review"
"""Of the calls, in the run's spending."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the judge says of answers of which rules say the same."""

    rules: Outcome
    settled: int
    """Answers of the run of which rules say so."""
    asked: int
    unknown: int
    """Those of which the judge said nothing that can be read, or failed."""
    agreed: Share
    """Of those that it judged, with the 95% Wilson interval."""


@dataclass(frozen=True, slots=True)
class Opinions:
    """Both directions; answers that rules call right, and that they call wrong."""

    right: Opinion
    wrong: Opinion
    disagreed: tuple[str, ...]
    """Trajectories, of which rules and judge say different things."""
    stopped: str
    """Why not all were asked; empty where they were."""


def ask_judge(connection: duckdb.DuckDBPyConnection, config: Config, size: int) -> Opinions:
    """Ask the judge of the config, or its panel, about so many answers that rules settled, half of them right.

    The answers are drawn by the config's seed; a larger sample begins with a smaller one. Replies are kept in the
    store. Raises `ConfigError` on an address that nobody fills.
    """
    begin(config)
    services = services_for(config.model_dump_json())
    said = _ruled(connection)
    ids = draw(said, size, config.seed)
    answers = dict(
        connection.execute(
            "SELECT trajectory_id, answer FROM trajectories WHERE list_contains($ids, trajectory_id)", {"ids": ids}
        ).fetchall()
    )
    query = "FROM seeds WHERE seed_id IN (SELECT seed_id FROM verdicts WHERE list_contains($ids, trajectory_id))"
    seeds = {seed.seed_id: seed for seed in fetch_records(Seed, connection.execute(query, {"ids": ids}))}
    seed_of = dict(connection.execute("SELECT trajectory_id, seed_id FROM verdicts").fetchall())
    judge = services.ask_judge(PURPOSE)

    async def one(name: str) -> tuple[str, JudgeReply | ServiceError]:
        try:
            return name, await judge(question_of("answer", seeds[seed_of[name]], answers[name] or ""))
        except ServiceError as error:
            return name, error

    ruled, stopped = dict[str, Ruling](), ""
    for name, reply in in_window(ids, one, config.window):
        if isinstance(reply, JudgeReply):
            ruled[name] = reply.ruling
        elif reply.failure in STOP_REASONS:
            stopped = stopped or str(reply)
        else:
            ruled[name] = Ruling.UNKNOWN
    return opinions(said, ruled, stopped)


def _ruled(connection: duckdb.DuckDBPyConnection) -> dict[str, Outcome]:
    """What rules say, of each trajectory that they settled."""
    query = "SELECT trajectory_id, outcome FROM verdicts WHERE list_contains($rules, method) ORDER BY trajectory_id"
    return {name: Outcome(outcome) for name, outcome in connection.execute(query, {"rules": list(RULES)}).fetchall()}


def draw(said: Mapping[str, Outcome], size: int, seed: int) -> list[str]:
    """So many trajectories, right ones and wrong ones by turns while there are both."""
    lots = sorted(said, key=lambda name: hashlib.sha256(f"opinion/{seed}/{name}".encode()).digest())
    kinds = [[name for name in lots if said[name] is outcome] for outcome in (Outcome.CORRECT, Outcome.WRONG)]
    places = {name: place for kind in kinds for place, name in enumerate(kind)}
    return sorted(places, key=lambda name: (places[name], said[name].value))[:size]


def opinions(said: Mapping[str, Outcome], ruled: Mapping[str, Ruling], stopped: str = "") -> Opinions:
    """What rules say of trajectories against what a judge says of some of them."""
    same: dict[Outcome, Ruling] = {Outcome.CORRECT: Ruling.YES, Outcome.WRONG: Ruling.NO}

    def of(outcome: Outcome) -> Opinion:
        asked = [ruling for name, ruling in ruled.items() if said[name] is outcome]
        judged = [ruling for ruling in asked if ruling is not Ruling.UNKNOWN]
        agreed = Share.of(sum(ruling is same[outcome] for ruling in judged), len(judged))
        return Opinion(outcome, list(said.values()).count(outcome), len(asked), len(asked) - len(judged), agreed)

    disagreed = (name for name, ruling in ruled.items() if ruling not in (Ruling.UNKNOWN, same[said[name]]))
    return Opinions(of(Outcome.CORRECT), of(Outcome.WRONG), tuple(sorted(disagreed)), stopped)


def panel_pairs(connection: duckdb.DuckDBPyConnection) -> tuple[Pair, ...]:
    """How far the judges of the run's panel agree, two by two, over all that it was asked; empty without a panel."""
    votes: dict[str, dict[str, str]] = {}
    rows: Sequence[tuple[str, str, str, str]] = connection.execute(
        "SELECT judge, trajectory_id, about, says FROM votes ORDER BY ALL"
    ).fetchall()
    for judge, name, about, says in rows:
        votes.setdefault(judge, {})[f"{name}/{about}"] = says
    return tuple(Pair(one, other, agreement(votes[one], votes[other])) for one, other in combinations(votes, 2))

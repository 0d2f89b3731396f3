"""The stages from seed to verdict as one list, which Beam and `gog preview` both run.

A stage is a function of an item: what it makes of it are rows for the lake, perhaps a reject, and the items that go on
to the next stage.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from gog.schemas import Evidence, Region, Reject, Row, Seed, Trajectory, Unit
from gog.transforms.episode.driver import OnTurn
from gog.transforms.filters.use import filters_after, refusal
from gog.transforms.synthesize.compose import compose
from gog.transforms.synthesize.propose import Proposed, propose_regions
from gog.transforms.synthesize.rollout import Attempt, rollout
from gog.transforms.synthesize.screen import Screened, screen_seed
from gog.transforms.synthesize.services import Services
from gog.transforms.synthesize.settings import StageSettings
from gog.transforms.synthesize.verify import Verified, leaves, verify_trajectory


@dataclass(frozen=True, slots=True)
class Item:
    """A seed on its way, with what stages have made for those behind them. An easy seed brings its trajectory."""

    seed: Seed
    no_tool_pass_rate: float = 0.0
    regions: tuple[Region, ...] = ()
    sample_index: int = 0
    trajectory: Trajectory | None = None
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stage made of an item."""

    result: Screened | Proposed | Attempt | Verified | None
    """None: the item was passed on untouched, and does not count."""
    rows: tuple[Row, ...] = ()
    reject: Reject | None = None
    items: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage by its name in the funnel, and what it counts."""

    name: str
    unit: Unit
    run: Callable[[Services, StageSettings, Item, OnTurn | None], Awaitable[Outcome]]


async def _screen(services: Services, settings: StageSettings, item: Item, on_turn: OnTurn | None) -> Outcome:
    screened = await screen_seed(services, item.seed, settings.screen, settings.episode)
    if screened.screening is None:
        return Outcome(screened, reject=screened.reject)
    objection = refusal(filters_after("screen", settings.filters), item.seed)
    if objection is not None:
        # Without a screening it is in no group and no pool.
        seed_id = item.seed.seed_id
        reject = Reject.of(
            "screen", Unit.SEED, seed_id, objection.reason, detail=objection.detail, seed_id=seed_id
        )  # fmt: skip
        return Outcome(Screened(item.seed, None, reject=reject), reject=reject)
    item = replace(item, no_tool_pass_rate=screened.screening.pass_rate, trajectory=screened.easy)
    goes_on = screened.reject is None or screened.easy is not None
    return Outcome(screened, (screened.screening,), screened.reject, (item,) if goes_on else ())


async def _propose(services: Services, settings: StageSettings, item: Item, on_turn: OnTurn | None) -> Outcome:
    if item.trajectory is not None:
        return Outcome(None, items=(item,))
    proposed = await propose_regions(services, item.seed, settings.propose, settings.episode)
    attempts = range(settings.synthesize.attempts)
    items = tuple(replace(item, regions=proposed.regions, sample_index=index) for index in attempts)
    return Outcome(proposed, proposed.regions, items=items)


async def _synthesize(services: Services, settings: StageSettings, item: Item, on_turn: OnTurn | None) -> Outcome:
    if item.trajectory is not None:
        attempt = Attempt(item.seed, item.trajectory)
    else:
        attempt = await _attempt(services, settings, item, on_turn)
    if attempt.trajectory is None:
        return Outcome(attempt, attempt.evidence, attempt.reject)
    tried = replace(item, regions=(), trajectory=attempt.trajectory, evidence=attempt.evidence)
    return Outcome(attempt, (*attempt.evidence, attempt.trajectory), attempt.reject, (tried,))


async def _attempt(services: Services, settings: StageSettings, item: Item, on_turn: OnTurn | None) -> Attempt:
    made, episode = settings.synthesize, settings.episode
    seed, regions, index = item.seed, item.regions, item.sample_index
    if index < made.rollouts:
        return await rollout(services, services.teacher, seed, regions, index, made.rollout, episode, on_turn=on_turn)
    return await compose(
        services, seed, regions, index, made.compose, made.rollout, episode, settings.run_seed, on_turn
    )


async def _verify(services: Services, settings: StageSettings, item: Item, on_turn: OnTurn | None) -> Outcome:
    seed, trajectory = item.seed, item.trajectory
    assert trajectory is not None
    verified = await verify_trajectory(services, seed, trajectory, item.evidence, item.no_tool_pass_rate)
    if verified.reject is None:
        objection = refusal(filters_after("verify", settings.filters), seed, trajectory, verified.verdict)
        if objection is not None:
            verdict = verified.verdict.model_copy(update={"reasons": (objection.reason,)})
            verified = Verified(trajectory, verdict, leaves(seed, trajectory, objection.reason, objection.detail))
    return Outcome(verified, (verified.verdict,), verified.reject)


STAGES: Final = (
    Stage("screen", Unit.SEED, _screen),
    Stage("propose", Unit.SEED, _propose),
    Stage("synthesize", Unit.ATTEMPT, _synthesize),
    Stage("verify", Unit.TRAJECTORY, _verify),
)

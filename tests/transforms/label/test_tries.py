"""Labelling: k tries give a level; tries that nobody could settle leave k."""

import asyncio
from pathlib import Path

import pytest
from fakes import FakeSearch, ScriptedPolicy, Told, answered, called, said, seed_of, services

from gog.schemas import Complexity, FailureClass, Reject
from gog.schemas.rows import check_row, to_row
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.label.tries import LabelSettings, label_seed
from gog.transforms.services.gateway.budget import Budget
from gog.transforms.services.protocols import ChatRequest, ServiceError

SETTINGS = EpisodeSettings()
RIGHT, LOST = answered("Nairobi"), said("hm")
UNSURE = answered("the town on the Nairobi river")
DOWN = ServiceError(FailureClass.AUTH, "no")


def run(
    folder: Path,
    tries: list[Told],
    *,
    solvable: bool = True,
    judge: Told = DOWN,
    budget: Budget | None = None,
    text: FakeSearch | None = None,
) -> tuple[Complexity | Reject, ScriptedPolicy]:
    """Label a seed: one thing to say a try, over and over."""

    def tell(request: ChatRequest) -> Told:
        return tries[request.sample_index]

    policy = ScriptedPolicy(tell, id="policy:1")
    with services(folder, judge=ScriptedPolicy(lambda _: judge, id="judge:1"), budget=budget, text=text) as (
        world,
        images,
    ):
        seed = seed_of(images)
        made = asyncio.run(label_seed(world, policy, seed, solvable, LabelSettings(k=len(tries)), SETTINGS))
    check_row("rejects" if isinstance(made, Reject) else "complexity", to_row(made))
    return made, policy


@pytest.mark.parametrize(
    ("tries", "level"),
    [([RIGHT] * 4, 0), ([RIGHT, RIGHT, LOST, LOST], 1), ([RIGHT, LOST, LOST, LOST], 2), ([LOST] * 4, 2)],
)
def test_levels(tmp_path: Path, tries: list[Told], level: int) -> None:
    made, _ = run(tmp_path, tries)
    assert isinstance(made, Complexity)
    assert (made.level, made.k, made.unknown) == (level, 4, 0)
    assert made.passes == tries.count(RIGHT)
    assert made.policy == "policy:1"


def test_tries_that_broke_or_nobody_could_judge_leave_k(tmp_path: Path) -> None:
    made, _ = run(tmp_path, [RIGHT, LOST, DOWN, UNSURE])
    assert isinstance(made, Complexity)
    assert (made.k, made.passes, made.unknown) == (2, 1, 2)


def test_a_failed_tool_is_not_the_policys_failure(tmp_path: Path) -> None:
    text = FakeSearch(lambda _: ServiceError(FailureClass.BAD_REQUEST, "no"))
    made, _ = run(tmp_path, [RIGHT, RIGHT, RIGHT, called("text_search", {"query": "q"})], text=text)
    assert isinstance(made, Complexity)
    assert (made.k, made.pass_rate, made.unknown) == (3, 1.0, 1)


@pytest.mark.parametrize("tries", [[DOWN] * 4, [UNSURE] * 4, [RIGHT, DOWN, DOWN, DOWN]])
def test_too_few_settled(tmp_path: Path, tries: list[Told]) -> None:
    made, _ = run(tmp_path, tries)
    assert isinstance(made, Reject)
    assert made.reason == "label.unknown"


def test_never_passed_and_never_solved(tmp_path: Path) -> None:
    made, _ = run(tmp_path, [LOST] * 4, solvable=False)
    assert isinstance(made, Reject)
    assert made.reason == "label.unsolvable"


@pytest.mark.parametrize(
    ("failure", "reason"), [(FailureClass.BUDGET, "budget.reached"), (FailureClass.STORE_MISS, "store.miss")]
)
def test_a_stopped_run_gives_no_level(tmp_path: Path, failure: FailureClass, reason: str) -> None:
    made, _ = run(tmp_path / "a", [RIGHT, RIGHT, RIGHT, ServiceError(failure)])
    assert isinstance(made, Reject)
    assert made.reason == reason
    made, _ = run(tmp_path / "b", [RIGHT, RIGHT, RIGHT, UNSURE], judge=ServiceError(failure))
    assert isinstance(made, Reject)
    assert made.reason == reason


def test_the_ceiling_is_a_reject(tmp_path: Path) -> None:
    made, policy = run(tmp_path, [RIGHT] * 4, budget=Budget(max_calls=2))
    assert isinstance(made, Reject)
    assert made.reason == "budget.reached"
    assert len(policy.requests) == 2


def test_the_policys_own_prompt_no_hints_no_gold(tmp_path: Path) -> None:
    _, policy = run(tmp_path, [LOST] * 2)
    assert "detector" not in policy.heard
    assert "nairobi" not in policy.heard.lower()
    assert {request.sample_index for request in policy.requests} == {0, 1}


def test_a_judge_settles_what_rules_cannot(tmp_path: Path) -> None:
    made, _ = run(tmp_path, [UNSURE] * 2, judge=said('{"verdict": "correct"}'))
    assert isinstance(made, Complexity)
    assert (made.k, made.passes) == (2, 2)

"""Screening: easy seeds go to the pool with a trajectory, hard ones go on, failures leave with a reason."""

import asyncio
from pathlib import Path

import pytest
from fakes import ScriptedPolicy, Told, answered, called, said, seed_of, services
from hypothesis import given
from hypothesis import strategies as st

from gog.schemas import REASONS, FailureClass, Origin, Outcome, StopReason
from gog.schemas.rows import check_row, to_row
from gog.transforms.episode.machine import EpisodeSettings, system_prompt
from gog.transforms.services.protocols import ChatRequest, ServiceError
from gog.transforms.synthesize.screen import Screened, ScreenSettings, screen, screen_seed

SETTINGS = EpisodeSettings()
RIGHT, WRONG = answered("Nairobi", think="I know it."), called("image_search")
DOWN = ServiceError(FailureClass.AUTH, "no key")


def run(
    folder: Path, script: list[Told], *, judge: ScriptedPolicy | None = None, answer: str = "Nairobi"
) -> tuple[Screened, ScriptedPolicy]:
    """Screen a seed: one line of the script a pass."""

    def tell(request: ChatRequest) -> Told:
        return script[request.sample_index]

    policy = ScriptedPolicy(tell)
    with services(folder, policy, judge=judge) as (world, images):
        seed = seed_of(images, answers=[answer])
        made = asyncio.run(screen_seed(world, seed, ScreenSettings(passes=len(script)), SETTINGS))
    return made, policy


def test_right_every_time_is_easy_and_keeps_a_trajectory(tmp_path: Path) -> None:
    made, policy = run(tmp_path, [RIGHT] * 4)
    assert made.screening is not None
    assert (made.screening.k, made.screening.passes, made.screening.easy) == (4, 4, True)
    assert made.reject is not None
    assert made.reject.reason == "screen.too_easy"
    easy = made.easy
    assert easy is not None
    assert (easy.origin, easy.stop, easy.answer) == (Origin.SCREEN, StopReason.ANSWERED, "Nairobi")
    assert easy.behaviour.value == "direct"
    assert easy.messages[0].text == system_prompt(SETTINGS)[0]
    assert len(policy.requests) == 4
    check_row("trajectories", to_row(easy))
    check_row("screenings", to_row(made.screening))


@pytest.mark.parametrize(
    "script", [[RIGHT, RIGHT, RIGHT, WRONG], [WRONG] * 4, [said("Nairobi")] * 4, [RIGHT, DOWN, RIGHT, RIGHT]]
)
def test_a_hard_seed_goes_on(tmp_path: Path, script: list[Told]) -> None:
    made, _ = run(tmp_path, script)
    assert made.reject is None
    assert made.easy is None
    assert made.screening is not None
    assert not made.screening.easy
    assert made.screening.unknown == script.count(DOWN)
    assert made.screening.k + made.screening.unknown == 4


def test_passes_that_nobody_can_judge_are_not_the_teachers_fault(tmp_path: Path) -> None:
    judge = ScriptedPolicy(lambda _: said("Hard to say."), id="judge:1")
    made, _ = run(tmp_path, [answered("the land of lions")] * 4, judge=judge)
    assert made.reject is not None
    assert made.reject.reason == "verify.unknown"


def test_a_teacher_that_cannot_be_asked(tmp_path: Path) -> None:
    made, _ = run(tmp_path, [DOWN, DOWN, DOWN, RIGHT])
    assert made.screening is None
    assert made.reject is not None
    assert made.reject.reason == "screen.teacher_failed"
    assert "no key" in made.reject.detail
    check_row("rejects", to_row(made.reject))


@pytest.mark.parametrize(
    ("failure", "reason"), [(FailureClass.BUDGET, "budget.reached"), (FailureClass.STORE_MISS, "store.miss")]
)
def test_a_stopped_run_has_not_screened_the_seed(tmp_path: Path, failure: FailureClass, reason: str) -> None:
    """One pass that was not bought is enough: when the run goes on, all of them count."""
    made, _ = run(tmp_path, [RIGHT, RIGHT, WRONG, ServiceError(failure)])
    assert made.screening is None
    assert made.reject is not None
    assert made.reject.reason == reason
    assert reason in REASONS
    judge = ScriptedPolicy(lambda _: ServiceError(failure))
    unsure = answered("the town on the Nairobi river")
    made, _ = run(tmp_path, [WRONG, WRONG, WRONG, unsure], judge=judge)
    assert made.reject is not None
    assert made.reject.reason == reason


def test_no_tools_no_hints_no_gold(tmp_path: Path) -> None:
    _, policy = run(tmp_path, [WRONG] * 3)
    assert all(request.tools == () for request in policy.requests)
    assert [request.sample_index for request in policy.requests] == [0, 1, 2]
    assert "nairobi" not in policy.heard.lower()
    assert "kenya" not in policy.heard.lower()
    assert len({request.prompt_hash for request in policy.requests}) == 1


def test_a_judge_that_fails_leaves_passes_unknown(tmp_path: Path) -> None:
    judge = ScriptedPolicy(lambda _: ServiceError(FailureClass.AUTH))
    unsure = answered("the town on the Nairobi river")
    made, _ = run(tmp_path, [unsure, unsure, WRONG, WRONG], judge=judge)
    assert made.screening is not None
    assert (made.screening.k, made.screening.unknown, made.screening.passes) == (2, 2, 0)


R, W, U = Outcome.CORRECT, Outcome.WRONG, Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("outcomes", "easy", "rate", "leaves"),
    [
        ([R, R, R, R], True, 1.0, False),
        ([R, R, R, W], False, 0.75, False),
        ([R, R, R, U], False, 1.0, False),
        ([R, W, U, U], False, 0.5, False),
        ([W, U, U, U], False, 0.0, True),
        ([R, U, U, U], False, 1.0, True),
        ([U, U, U, U], False, 0.0, True),
        ([U], False, 0.0, True),
        ([R], True, 1.0, False),
        ([], False, 0.0, False),
    ],
)
def test_easy_is_n_of_n_and_only_too_few_settled_passes_cost_a_seed(
    outcomes: list[Outcome], easy: bool, rate: float, leaves: bool
) -> None:
    screening = screen("seed-1", "teacher:1", outcomes)
    assert (screening is None) == leaves
    assert screening is None or (screening.easy, screening.pass_rate) == (easy, rate)


@given(st.lists(st.sampled_from(Outcome), max_size=10))
def test_every_pass_is_counted_once(outcomes: list[Outcome]) -> None:
    screening = screen("seed-1", "teacher:1", outcomes)
    if screening is not None:
        assert screening.k + screening.unknown == len(outcomes)
        assert 0 <= screening.passes <= screening.k

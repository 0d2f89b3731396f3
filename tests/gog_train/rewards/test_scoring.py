"""What a rollout is paid, part by part."""

from pathlib import Path

import pytest
from fakes import FakeSearch
from hypothesis import given
from hypothesis import strategies as st
from rolling import answer, call, rl_rows, row_of, seed, services

from gog.schemas import FailureClass
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.services.loop import run_on_loop
from gog.transforms.services.protocols import ServiceError
from gog.transforms.verify.judge import JudgeQuestion, JudgeReply, Ruling
from gog_train.environment import Ending, Rollout
from gog_train.judge_health import FEW, JudgeHealth, JudgeIllError
from gog_train.rewards.scoring import CountedJudge, Scored, metrics_of, score, score_all, with_signal
from gog_train.rewards.terms import RewardSettings, Term
from gog_train.services import TrainingServices

EPISODE = EpisodeSettings(max_turns=4).in_frame(BACKBONES["qwen2.5-vl"].spec)
SEARCH = call("text_search", query="capital of Kenya")
GLANCE = call("image_search")
RIGHT, WRONG = answer("Nairobi"), answer("Mombasa")
BOTH = SEARCH + " <answer>Nairobi</answer>"


def played(made: TrainingServices, turns: list[str]) -> Rollout:
    rollout = Rollout(row_of(rl_rows(EPISODE, [seed()])), made.tools, made.images, EPISODE)
    for turn in turns:
        if not rollout.over:
            run_on_loop(rollout.turn(turn))
    return rollout


@pytest.mark.parametrize(
    ("turns", "accuracy", "form"),
    [
        ([RIGHT], 1, 1),
        ([WRONG], 0, 1),
        ([SEARCH, GLANCE, RIGHT], 1, 1),
        ([SEARCH, SEARCH, RIGHT], 1, 1),
        (["Words alone.", RIGHT], 1, 0),
        ([BOTH, RIGHT], 1, 0),
        (["Nairobi</think><answer>Mombasa</answer> or <answer>Nairobi</answer>"], 1, 0),
        ([answer("Nairobi" + " " * 3 + "x" * 300)], 0, 0),
        (["a", "b", "c"], 0, 0),
    ],
    ids=["right", "wrong", "searched", "repeated", "strike", "answer with call", "two answers", "too long", "strikes"],
)
def test_accuracy_and_form(turns: list[str], accuracy: float, form: float, tmp_path: Path) -> None:
    with services(tmp_path / "store") as made:
        rollout = played(made, turns)
        scored = run_on_loop(score(rollout, made.judge, RewardSettings()))
    assert (scored.values["accuracy"], scored.values["format"]) == (accuracy, form)
    assert scored.reward == pytest.approx(0.9 * accuracy + 0.1 * form)
    assert scored.masked == ""


def test_a_group_teaches_when_some_are_right_and_some_wrong() -> None:
    """A malformed one among wrong ones is no signal, though it is paid less; what is masked says nothing."""

    def one(accuracy: float, form: float = 1, *, masked: str = "") -> Scored:
        values = {} if masked else {"accuracy": accuracy, "format": form}
        return Scored(Ending.ANSWERED, None if masked else 0.9 * accuracy + 0.1 * form, values, masked)

    assert with_signal([one(1), one(0), one(0), one(0)], 2) == [True, False]
    assert with_signal([one(0), one(0, 0), one(1), one(0, masked="judge")], 2) == [False, False]
    assert with_signal([one(1), one(0), one(0, masked="overlong")], 3) == [True]
    assert with_signal([one(0, masked="judge")] * 2, 2) == [False]


@given(weight=st.floats(0, 1), cost=st.floats(0, 0.5))
def test_the_reward_is_its_parts_weighed(scored_rollouts: dict[str, Rollout], weight: float, cost: float) -> None:
    settings_ = RewardSettings(weight, cost, unsettled="zero")
    for name, accuracy, form, searches in (
        ("right", 1, 1, 0),
        ("searched", 1, 1, 2),
        ("out of form", 1, 0, 1),
        ("wrong", 0, 1, 0),
        ("strikes", 0, 0, 0),
    ):
        scored = run_on_loop(score(scored_rollouts[name], None, settings_))
        assert (scored.values["accuracy"], scored.values["format"]) == (accuracy, form)
        paid_for = searches * accuracy
        assert scored.values["cost"] == -paid_for
        assert scored.reward == pytest.approx((1 - weight) * accuracy + weight * form - cost * paid_for)


@pytest.fixture(scope="module")
def scored_rollouts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rollout]:
    with services(tmp_path_factory.mktemp("rewards")) as made:
        return {
            "right": played(made, [RIGHT]),
            "searched": played(made, [SEARCH, GLANCE, RIGHT]),
            "out of form": played(made, ["Words alone.", SEARCH, RIGHT]),
            "wrong": played(made, [WRONG]),
            "strikes": played(made, ["a", "b", "c"]),
        }


def test_what_is_masked_has_no_reward(tmp_path: Path) -> None:
    down = FakeSearch(lambda query: ServiceError(FailureClass.SERVER, "down"), id="fake-text:down")
    with services(tmp_path / "store", text=down) as made:
        rollouts = [played(made, turns) for turns in ([SEARCH], [GLANCE] * 4, ["Words."], [WRONG])]
        rollouts[2].end(Ending.OVERLONG)
        scored = run_on_loop(score_all(rollouts, None, RewardSettings()))
        numbers = metrics_of(scored, rollouts)
    assert [(one.masked, one.reward) for one in scored] == [
        ("tool", None),
        ("out_of_turns", None),
        ("overlong", None),
        ("unsettled", None),
    ], "without a judge nobody says that another name is wrong"
    assert numbers["episode/masked"] == 1
    assert "reward/accuracy" not in numbers
    assert numbers["ended/tool_failed"] == numbers["masked/tool"] == numbers["masked/unsettled"] == 0.25
    assert (numbers["episode/unsettled"], numbers["masked/judge"]) == (0.25, 0)


def test_what_came_to_no_end_may_count_as_one_without_an_answer(tmp_path: Path) -> None:
    down = FakeSearch(lambda query: ServiceError(FailureClass.SERVER, "down"), id="fake-text:down")
    with services(tmp_path / "store", text=down) as made:
        rollouts = [played(made, turns) for turns in ([SEARCH], [GLANCE] * 4, ["Words."], [RIGHT], [WRONG])]
        rollouts[2].end(Ending.OVERLONG)
        scored = run_on_loop(score_all(rollouts, None, RewardSettings(unfinished="prefix")))
        numbers = metrics_of(scored, rollouts)
    assert [(one.masked, one.reward, one.prefix) for one in scored] == [
        *[("", 0.0, True)] * 3,
        ("", 1.0, False),
        ("unsettled", None, False),
    ]
    assert (numbers["episode/prefix"], numbers["episode/masked"]) == pytest.approx((0.6, 0.2))
    assert with_signal(scored[2:4], 2) == [True], "one that came to its end, and one that did not"
    assert [one.right for one in scored[:3]] == [None, False, False], "an evaluation says the same of them"


def test_searches_turns_and_strikes_are_means_over_rollouts(scored_rollouts: dict[str, Rollout]) -> None:
    rollouts = [scored_rollouts[name] for name in ("right", "searched", "out of form", "wrong")]
    numbers = metrics_of(run_on_loop(score_all(rollouts, None, RewardSettings())), rollouts)
    searches = {
        name.removeprefix("searches/"): count for name, count in numbers.items() if name.startswith("searches/")
    }
    assert searches == {"text_search": 0.5, "image_search": 0.25, "gaze": 0}
    assert (numbers["episode/turns"], numbers["episode/strikes"]) == (2, 0.25)


def test_what_nobody_settles_may_be_paid_zero_and_is_counted(tmp_path: Path) -> None:
    zero = RewardSettings(unsettled="zero")
    with services(tmp_path / "store") as made:
        rollouts = [played(made, turns) for turns in ([WRONG], [RIGHT], ["a", "b", "c"], [answer("")])]
        scored = run_on_loop(score_all(rollouts, None, zero))
        numbers = metrics_of(scored, rollouts)
        down = CountedJudge(refusing)
        (failed,) = run_on_loop(score_all(rollouts[:1], down, zero))
    assert [(one.reward, one.unsettled) for one in scored[:2]] == [(pytest.approx(0.1), True), (1.0, False)]
    assert not any(one.unsettled for one in scored[2:]), "no answer and an empty one are wrong"
    assert (numbers["episode/unsettled"], numbers["episode/masked"], numbers["reward/accuracy"]) == (0.25, 0, 0.25)
    assert (failed.reward, failed.masked, failed.unsettled) == (None, "judge", False), "no verdict"


async def refusing(question: JudgeQuestion) -> JudgeReply:
    raise ServiceError(FailureClass.TIMEOUT)


SHORT = Term("short", lambda rollout: None if rollout.answer is None else len(rollout.answer) / 100, weight=0.5)


@pytest.mark.parametrize(("weight", "part"), [(2.0, 0.14), (None, 0.035)])
def test_a_term_of_somebody_else_is_weighed_in(
    weight: float | None, part: float, scored_rollouts: dict[str, Rollout]
) -> None:
    settings_ = RewardSettings(more={f"{__name__}:SHORT": weight})
    scored = run_on_loop(score(scored_rollouts["right"], None, settings_))
    assert scored.reward == pytest.approx(1 + part)
    assert metrics_of([scored], [scored_rollouts["right"]])[f"reward/{__name__}:SHORT"] == pytest.approx(0.07)


def test_a_term_without_a_value_masks(scored_rollouts: dict[str, Rollout]) -> None:
    scored = run_on_loop(score(scored_rollouts["strikes"], None, RewardSettings(more={f"{__name__}:SHORT": 1.0})))
    assert (scored.reward, scored.masked) == (None, "term")


def test_a_rollout_that_was_left_is_no_success(tmp_path: Path) -> None:
    with services(tmp_path / "store") as made:
        rollout = played(made, [SEARCH])
        scored = run_on_loop(score(rollout, made.judge, RewardSettings()))
    assert (scored.ending, scored.reward) == (Ending.BROKEN, 0.0)


def test_the_judge_is_counted() -> None:
    replies = iter([Ruling.YES, Ruling.UNKNOWN, Ruling.NO])

    async def judge(question: JudgeQuestion) -> JudgeReply:
        try:
            return JudgeReply(next(replies))
        except StopIteration:
            raise ServiceError(FailureClass.TIMEOUT) from None

    counted = CountedJudge(judge)
    question = JudgeQuestion("answer", "?", ("a",), "b")
    for _ in range(3):
        run_on_loop(counted(question))
    with pytest.raises(ServiceError):
        run_on_loop(counted(question))
    assert (counted.asked, counted.answered) == (4, 2)


def test_a_healthy_judge_may_fail_now_and_then() -> None:
    health = JudgeHealth(window=100)
    for number in range(300):
        health.add(1, int(number % 25 != 0))
    assert 100 <= health.asked < 110
    assert health.share == pytest.approx(0.96)


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 1)), max_size=60))
def test_health_is_the_share_over_the_window(batches: list[tuple[int, float]]) -> None:
    health, done = JudgeHealth(window=40), []
    for asked, share in batches:
        done.append((asked, round(asked * share)))
        recent, total = [], 0
        for one in reversed([pair for pair in done if pair[0]]):
            if total >= 40:
                break
            recent.append(one)
            total += one[0]
        answered = sum(count for _, count in recent)
        ill = answered < 0.95 * total and (total >= 40 or (total >= FEW and answered < 0.475 * total))
        if ill:
            with pytest.raises(JudgeIllError):
                health.add(*done[-1])
            return
        health.add(*done[-1])
        assert health.asked == total

"""The terms of the reward: whose they are, what they weigh, and what a run card says of them."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gog.schemas import Box, Outcome, Step
from gog.transforms.open_set import UnknownMemberError
from gog_train.grpo import EXAMPLES
from gog_train.grpo_settings import GrpoSettings
from gog_train.rewards.terms import TERMS, Finished, RewardSettings
from gog_train.settings import TrainingError, read_settings

SEARCH = Step(turn=0, action="text_search", evidence_ids=("e1",))
ROLLOUT = Finished({"question": "?"}, ("a", "<answer>b</answer>"), (SEARCH,), 0, "b", Outcome.CORRECT)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package with a term."""
    (tmp_path / "terms_of_others.py").write_text(
        "from gog_train.rewards.terms import Term\nturns = Term('turns', lambda rollout: len(rollout.turns), 0.25)\n"
        "plain = Term('plain', lambda rollout: 3.0)\n"
    )
    info = tmp_path / "others-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[gog.rewards]\nturns = terms_of_others:turns\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "terms_of_others", raising=False)
    TERMS.__dict__.pop("_theirs", None)


def test_ours() -> None:
    assert {"accuracy", "format", "cost", "gaze"} <= set(TERMS)
    assert RewardSettings(0.25, 0.125).pay(ROLLOUT) == (0.875, {"accuracy": 1.0, "format": 1.0, "cost": -1.0})


def test_searches_cost_where_the_answer_is_right_alone() -> None:
    """Off a wrong answer too, not to look would be worth more than to look and fail."""
    wrong = replace(ROLLOUT, outcome=Outcome.WRONG)
    assert RewardSettings(0.25, 0.125).pay(wrong) == (0.25, {"accuracy": 0.0, "format": 1.0, "cost": 0.0})


def look(left: float, *evidence: str) -> Step:
    return Step(turn=0, action="gaze", box=Box(left, 0, left + 0.2, 0.2), evidence_ids=evidence)


@pytest.mark.parametrize(
    ("steps", "outcome", "paid"),
    [
        ((look(0, "e"), look(0.5, "f")), Outcome.CORRECT, 1.0),
        ((look(0, "e"), look(0.01, "f")), Outcome.CORRECT, 0.5),
        ((look(0, "e"), look(0.5)), Outcome.CORRECT, 0.5),
        ((look(0, "e"),), Outcome.WRONG, 0.0),
        ((SEARCH,), Outcome.CORRECT, 0.0),
    ],
    ids=["two places", "one place twice", "nothing came back", "wrong", "no gaze"],
)
def test_a_gaze_is_paid_for_what_it_was_good_for_and_by_default_not_at_all(
    steps: tuple[Step, ...], outcome: Outcome, paid: float
) -> None:
    rollout = replace(ROLLOUT, steps=steps, outcome=outcome)
    assert RewardSettings(more={"gaze": 0.2}).pay(rollout)[1]["gaze"] == paid
    assert "gaze" not in RewardSettings().pay(rollout)[1]


@pytest.mark.usefixtures("plugin")
def test_a_package_adds_one_and_the_card_names_it() -> None:
    settings = RewardSettings(more={"turns": None})
    assert settings.pay(ROLLOUT)[0] == 1.5
    assert settings.card()["turns"] == {"weight": 0.25, "from": "others 1.2"}
    assert settings.card()["accuracy"]["from"].startswith("glance-or-gaze ")


@pytest.mark.usefixtures("plugin")
def test_a_term_that_names_no_weight_counts_once() -> None:
    assert RewardSettings(0.0, more={"terms_of_others:plain": None}).pay(ROLLOUT)[0] == 4


def test_settings_may_weigh_ours_otherwise() -> None:
    assert RewardSettings(more={"accuracy": 2.0}).pay(ROLLOUT)[0] == pytest.approx(2.1)


@pytest.mark.usefixtures("plugin")
def test_the_command_line_takes_terms_and_refuses_unknown_ones() -> None:
    words = ["--model", "m", "--export", "e", "--output", "o", "--rewards"]
    settings = read_settings(GrpoSettings, [*words, "{turns: 0.5}"], "gog_train.grpo", EXAMPLES)
    assert settings.reward.terms["turns"][1] == 0.5
    with pytest.raises(TrainingError, match="there is no reward term 'brevity'"):
        read_settings(GrpoSettings, [*words, "{brevity: 0.5}"], "gog_train.grpo", EXAMPLES)
    with pytest.raises(UnknownMemberError, match="cannot be loaded"):
        _ = RewardSettings(more={"nobody.has:it": 1.0}).terms

"""A larger run of the bundled world: every behaviour, reflection, every level, and the shares that the config asks for.

What is counted here is a property of the world and of a rule-based program that plays all models.
"""

from collections import Counter

import pytest
from runs import atlas, check_nothing_lost, exported, select, shared_run

from gog.pipelines.config.config import Config
from gog.pipelines.steps.run import run
from gog.schemas import Behaviour, Origin

pytestmark = pytest.mark.slow

SEEDS = 300
TOLERANCE = 0.03


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A finished run of 300 seeds, otherwise as `make demo` does it."""
    return shared_run(atlas("larger", run="larger", count=SEEDS, shard_size=SEEDS), tmp_path_factory)


def test_nothing_is_lost(larger: Config) -> None:
    check_nothing_lost(larger, rows=SEEDS)


def test_all_behaviours_occur_among_right_rollouts_and_kept_trajectories(larger: Config) -> None:
    right = dict(
        select(larger, "SELECT behaviour, sum(correct) FROM behaviours WHERE origin = 'rollout' GROUP BY behaviour")
    )
    assert {behaviour for behaviour, count in right.items() if count > 0} == set(Behaviour)
    assert {row["behaviour"] for row in exported(larger, "sft")} == set(Behaviour)


def test_some_kept_rollouts_are_reflective(larger: Config) -> None:
    kept = Counter((row["origin"], row["reflective"]) for row in exported(larger, "sft"))
    rollouts = kept[Origin.ROLLOUT, True] + kept[Origin.ROLLOUT, False]
    assert kept[Origin.ROLLOUT, True] >= 0.15 * rollouts > 0, kept
    assert kept[Origin.SCREEN, True] == 0, "an answer without tools has nothing to reflect on"
    assert kept[Origin.COMPOSE, True] > 0


def test_planned_reflection_has_the_share_that_the_config_gives(larger: Config) -> None:
    drawn = select(larger, "SELECT reflective, count(*) FROM trajectories WHERE origin = 'compose' GROUP BY reflective")
    counts = dict(drawn)
    assert 0 < counts[True] <= (larger.synthesize.compose.reflective_share + TOLERANCE) * sum(counts.values())


def test_the_share_of_direct_answers_is_the_one_that_was_asked_for(larger: Config) -> None:
    rows = exported(larger, "sft")
    direct = sum(row["behaviour"] == Behaviour.DIRECT for row in rows)
    wanted = larger.curate.balance.shares[Behaviour.DIRECT]
    assert wanted == 0.435
    assert direct / len(rows) == pytest.approx(wanted, abs=TOLERANCE)


def test_other_shares_come_out_of_the_config_too(larger: Config) -> None:
    """The same trajectories, curated again under quotas for three behaviours: no call, another mix."""
    shares = {"direct": 0.2, "gaze": 0.3, "mixed": 0.4}
    curate = larger.curate.model_dump(mode="json")
    curate["balance"]["shares"] = shares
    other = larger.model_copy(update={"run": "quotas"})
    other = type(larger).model_validate(other.model_dump(mode="json") | {"curate": curate})
    run(other, steps=("ingest", "synthesize", "curate", "export_sft"))
    rows = exported(other, "sft")
    found = Counter(row["behaviour"] for row in rows)
    for behaviour, share in shares.items():
        assert found[behaviour] / len(rows) == pytest.approx(share, abs=TOLERANCE), behaviour
    assert select(other, "SELECT sum(attempts) FROM events") == [(0,)]


def test_all_levels_occur_and_name_their_policy(larger: Config) -> None:
    levels = select(larger, "SELECT policy, level, seeds, least, most FROM levels")
    assert [level for _, level, *_ in levels] == [0, 1, 2]
    assert all(policy.startswith("planner:") and "skill=0.5" in policy for policy, *_ in levels)
    total = sum(seeds for _, _, seeds, *_ in levels)
    assert all(seeds >= 0.05 * total for _, _, seeds, *_ in levels)
    assert {row["level"] for row in exported(larger, "rl")} == {1, 2}


def test_every_kind_of_question_is_answered_by_some_and_missed_by_some(larger: Config) -> None:
    shares = select(
        larger,
        "SELECT category, sum(correct) / sum(attempts) FROM categories WHERE origin = 'rollout' GROUP BY category",
    )
    assert {kind for kind, _ in shares} == {"direct", "glance", "gaze", "hop", "trap"}
    assert all(0 < share < 1 for _, share in shares), shares

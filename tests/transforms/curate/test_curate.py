from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gog.schemas import Behaviour, Origin, Side, Split
from gog.transforms.curate.balance import BalanceSettings, LightTrajectory
from gog.transforms.curate.curate import Curation, curate
from gog.transforms.curate.splits import HubError, LightSeed, SplitSettings

OPEN = SplitSettings(rl_share=0.0, validation_share=0.0)


def seed(number: int, *, entity: str | None = None, like: int | None = None, question: str | None = None) -> LightSeed:
    pictures = [
        f"{(picture + 1) * 0x9E3779B97F4A7C15 % 2**64:016x}" * 4 for picture in (number, like) if picture is not None
    ]
    text = f"what is the {number}th thing called in town {number}" if question is None else question
    return LightSeed(f"seed-{number:03d}", entity, None, tuple(pictures), text)


def tried(number: int, behaviour: Behaviour = Behaviour.GAZE, index: int = 0) -> LightTrajectory:
    return LightTrajectory(f"trajectory-{number:03d}-{index}", f"seed-{number:03d}", behaviour, Origin.ROLLOUT)


def decide(
    seeds: list[LightSeed],
    trajectories: list[LightTrajectory],
    balance: BalanceSettings | None = None,
    splits: SplitSettings = OPEN,
    run_seed: int = 0,
) -> Curation:
    return curate(seeds, trajectories, balance or BalanceSettings(), splits, run_seed=run_seed)


def test_every_trajectory_is_kept_or_rejected_with_its_reason() -> None:
    seeds = [seed(n, entity=f"e{n % 40}") for n in range(200)]
    trajectories = [tried(n, Behaviour.DIRECT if n % 5 == 0 else Behaviour.GAZE) for n in range(200)]
    found = decide(seeds, trajectories, BalanceSettings(shares={"direct": 0.435}), SplitSettings())
    kept, left = [c.trajectory_id for c in found.kept], [r.id for r in found.rejects]
    assert sorted(kept + left) == sorted(t.trajectory_id for t in trajectories)
    reasons = Counter(r.reason for r in found.rejects)
    assert set(reasons) == {"curate.reserved_for_rl", "curate.over_quota"}


def test_groups_set_aside_for_rl_give_nothing_to_sft() -> None:
    seeds = [seed(n, entity=f"e{n % 20}") for n in range(100)]
    found = decide(seeds, [tried(n) for n in range(100)], splits=SplitSettings(rl_share=0.5, hub_share=1))
    side = {g.seed_id: g.side for g in found.groups}
    assert {side[c.seed_id] for c in found.kept} == {Side.SFT}
    assert {side[r.seed_id] for r in found.rejects} == {Side.RL}


def test_a_kept_trajectory_has_its_groups_split() -> None:
    seeds = [seed(n, entity=f"e{n % 25}") for n in range(100)]
    found = decide(seeds, [tried(n) for n in range(100)], splits=SplitSettings(rl_share=0, validation_share=0.3))
    place = {g.seed_id: g.split for g in found.groups}
    assert {c.split for c in found.kept} == {Split.TRAIN, Split.VALIDATION}
    assert all(c.split is place[c.seed_id] for c in found.kept)


def test_near_copies_of_an_earlier_seed_leave() -> None:
    question = "which bridge is the one in the middle of the picture taken at night"
    seeds = [seed(1, question=question), seed(2, like=1, question=question), seed(3)]
    found = decide(seeds, [tried(1), tried(2), tried(3)])
    assert [c.seed_id for c in found.kept] == ["seed-001", "seed-003"]
    (reject,) = found.rejects
    assert (reject.reason, reject.seed_id) == ("curate.near_duplicate", "seed-002")
    assert "seed-001" in reject.detail


def test_several_trajectories_of_one_seed_are_no_copies() -> None:
    found = decide([seed(1)], [tried(1, index=0), tried(1, Behaviour.MIXED, index=1)])
    assert len(found.kept) == 2


def test_the_shares_come_out_of_the_settings() -> None:
    kinds = [Behaviour.DIRECT, Behaviour.GAZE, Behaviour.MIXED, Behaviour.TEXT]
    seeds = [seed(n) for n in range(400)]
    found = decide(
        seeds, [tried(n, kinds[n % 4]) for n in range(400)], BalanceSettings(shares={"direct": 0.435}, scarce="strict")
    )
    share = sum(c.behaviour is Behaviour.DIRECT for c in found.kept) / len(found.kept)
    assert share == pytest.approx(0.435, abs=0.01)


def test_a_hub_stops_it_and_is_named() -> None:
    seeds = [seed(n, entity="Everywhere" if n < 60 else None) for n in range(100)]
    with pytest.raises(HubError, match="everywhere"):
        decide(seeds, [])


@settings(max_examples=25)
@given(st.randoms(use_true_random=False), st.integers(0, 3))
def test_the_order_of_the_input_does_not_matter(random: object, run_seed: int) -> None:
    seeds = [seed(n, entity=f"e{n % 7}") for n in range(30)]
    trajectories = [tried(n, list(Behaviour)[n % 5]) for n in range(30)]
    splits = SplitSettings(hub_share=1)
    balance = BalanceSettings(shares={"direct": 0.3})
    expected = decide(seeds, trajectories, balance, splits, run_seed)
    random.shuffle(seeds)  # type: ignore[attr-defined]
    random.shuffle(trajectories)  # type: ignore[attr-defined]
    assert decide(seeds, trajectories, balance, splits, run_seed) == expected


def test_another_run_seed_draws_otherwise() -> None:
    seeds = [seed(n, entity=f"e{n}") for n in range(100)]
    trajectories = [tried(n) for n in range(100)]
    splits = SplitSettings(rl_share=0.5)
    one = {c.seed_id for c in decide(seeds, trajectories, splits=splits, run_seed=0).kept}
    other = {c.seed_id for c in decide(seeds, trajectories, splits=splits, run_seed=1).kept}
    assert one != other

import itertools
import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gog.schemas import Behaviour, Origin
from gog.transforms.curate.balance import Balanced, BalanceSettings, LightTrajectory, balance

D, T, L, G, M = Behaviour.DIRECT, Behaviour.TEXT, Behaviour.GLANCE, Behaviour.GAZE, Behaviour.MIXED


def _items(**supply: int) -> list[LightTrajectory]:
    names = [(name, n) for name, count in supply.items() for n in range(count)]
    return [LightTrajectory(f"{name}-{n}", f"s{n}", Behaviour(name), Origin.ROLLOUT) for name, n in names]


def _counts(result: Balanced) -> Counter[str]:
    """How many of each behaviour were kept."""
    return Counter(name.partition("-")[0] for name in result.kept)


supplies = st.fixed_dictionaries({name.value: st.integers(0, 80) for name in Behaviour})


@st.composite
def share_settings(draw: st.DrawFn) -> BalanceSettings:
    weights = draw(st.lists(st.integers(0, 10), min_size=5, max_size=6).filter(any))
    names = draw(st.permutations(list(Behaviour)))[: draw(st.integers(0, 5))]
    shares = {name.value: weight / sum(weights) for name, weight in zip(names, weights, strict=False)}
    return BalanceSettings(
        shares=shares,
        total=draw(st.none() | st.integers(0, 200)),
        scarce=draw(st.sampled_from(["floor", "strict", "fill"])),
    )


@given(supplies, share_settings(), st.integers(0, 3), st.randoms(use_true_random=False))
def test_nothing_is_lost_and_order_does_not_matter(
    supply: dict[str, int], settings: BalanceSettings, seed: int, order: random.Random
) -> None:
    items = _items(**supply)
    result = balance(items, settings, seed)
    assert sorted([*result.kept, *(reject.id for reject in result.rejects)]) == sorted(i.trajectory_id for i in items)
    assert {reject.reason for reject in result.rejects} <= {"curate.over_quota"}
    assert settings.total is None or len(result.kept) <= settings.total
    assert balance(order.sample(items, len(items)), settings, seed) == result


@given(supplies, share_settings())
def test_strict_shares_come_out_within_rounding(supply: dict[str, int], settings: BalanceSettings) -> None:
    settings = settings.model_copy(update={"scarce": "strict"})
    kept = _counts(balance(_items(**supply), settings))
    free = max(0.0, 1 - sum(settings.shares.values()))
    targets: dict[tuple[str, ...], float] = {(name,): share for name, share in settings.shares.items()}
    targets |= {tuple(name for name in supply if name not in settings.shares): free}
    if all(any(supply[name] for name in names) or share < 1e-9 for names, share in targets.items()):
        for names, share in targets.items():
            assert abs(sum(kept[name] for name in names) - share * kept.total()) < 1 + 1e-6


@given(supplies, st.floats(0.05, 0.95))
def test_strict_keeps_as_many_as_the_shares_allow(supply: dict[str, int], share: float) -> None:
    kept = balance(_items(**supply), BalanceSettings(shares={D: share}, scarce="strict")).kept
    direct, others = supply["direct"], sum(supply.values()) - supply["direct"]
    if direct and others:
        assert len(kept) >= int(min(direct / share, others / (1 - share)))


def test_the_share_of_the_paper_comes_out_within_three_points() -> None:
    settings = BalanceSettings(shares={D: 0.435}, scarce="strict")
    kept = _counts(balance(_items(direct=500, gaze=300, mixed=200, glance=100), settings))
    assert abs(kept["direct"] / kept.total() - 0.435) < 0.03
    assert _counts(balance(_items(direct=500, gaze=600), settings)) == {"direct": 462, "gaze": 600}


def test_a_scarce_group_shrinks_the_total_or_is_kept_whole() -> None:
    items = _items(direct=100, gaze=900)
    strict = balance(items, BalanceSettings(shares={D: 0.435}, scarce="strict"))
    assert _counts(strict) == {"direct": 100, "gaze": 131}
    assert abs(100 / 231 - 0.435) < 0.01
    fill = balance(items, BalanceSettings(shares={D: 0.435}, scarce="fill"))
    assert _counts(fill) == {"direct": 100, "gaze": 565}


@given(supplies, share_settings())
def test_the_floor_keeps_its_share_and_a_group_has_less_than_its_own_only_where_it_gave_all(
    supply: dict[str, int], settings: BalanceSettings
) -> None:
    settings = settings.model_copy(update={"scarce": "floor", "total": None})
    kept = _counts(balance(_items(**supply), settings))
    strict = _counts(balance(_items(**supply), settings.model_copy(update={"scarce": "strict"})))
    assert kept.total() == max(strict.total(), math.ceil(settings.floor * sum(supply.values()) - 1e-9))
    assert all(strict[name] <= kept[name] <= supply[name] for name in supply)
    wanted = [(name, share) for name, share in settings.shares.items() if share]
    for (name, share), (other, part) in itertools.permutations(wanted, 2):
        # Rounding may give a place to either.
        if kept[name] > share / part * (kept[other] + 1) + 1:
            assert kept[other] == supply[other]


def test_what_is_made_is_kept_though_a_group_is_scarce() -> None:
    settings = BalanceSettings(shares={D: 0.435})
    assert _counts(balance(_items(direct=6, gaze=100, mixed=18), settings))["direct"] == 6
    assert len(balance(_items(direct=6, gaze=100, mixed=18), settings).kept) == 118
    few = BalanceSettings(shares={D: 0.3, G: 0.3, T: 0.4}, floor=0.5)
    assert _counts(balance(_items(direct=10, gaze=50, text=100), few)) == {"direct": 10, "gaze": 30, "text": 40}
    none = BalanceSettings(shares={D: 0.435}, floor=0.0)
    strict = BalanceSettings(shares={D: 0.435}, scarce="strict")
    assert balance(_items(gaze=50, direct=10), none).kept == balance(_items(gaze=50, direct=10), strict).kept


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"scarce": "strict"},
            "balance left out 110 of 124: direct has 6, its share of 43.5% wants 54; seed more of them, lower the"
            " share, or set curate.balance.scarce: floor",
        ),
        (
            {},
            "balance left out 6 of 124: direct has 6, its share of 43.5% wants 54; seed more of them, lower the share,"
            " or raise curate.balance.floor (0.95)",
        ),
        (
            {"shares": {D: 0.4, M: 0.3}},
            "balance left out 6 of 124: direct has 6, its share of 40.0% wants 50 and mixed has 18, its share of 30.0%"
            " wants 38; seed more of them, lower the share, or raise curate.balance.floor (0.95)",
        ),
        ({"total": 10, "floor": 1.0}, "balance left out 114 of 124: curate.balance.total is 10"),
    ],
    ids=["strict", "floor", "two", "total"],
)
def test_what_balance_costs_is_said_with_what_to_change(settings: dict[str, object], words: str) -> None:
    mix = BalanceSettings.model_validate({"shares": {D: 0.435}} | settings)
    rejects = balance(_items(direct=6, gaze=100, mixed=18), mix).rejects
    assert {reject.detail for reject in rejects} == {words}


def test_where_a_group_has_nothing_the_others_keep_their_shares() -> None:
    shares = {D: 0.4, G: 0.3, T: 0.3}
    result = balance(_items(gaze=100, text=400), BalanceSettings(shares=shares, scarce="strict"))
    assert _counts(result) == {"gaze": 100, "text": 100}


def test_behaviours_without_a_share_leave_when_the_shares_leave_nothing() -> None:
    settings = BalanceSettings(shares={D: 0.5, G: 0.5}, scarce="strict")
    assert _counts(balance(_items(direct=10, gaze=10, text=5), settings)) == {"direct": 10, "gaze": 10}


def test_groups_share_a_quota() -> None:
    groups = {"none": (D,), "search": (T, L, G, M)}
    settings = BalanceSettings(shares={"none": 0.4, "search": 0.6}, groups=groups, scarce="strict")
    kept = _counts(balance(_items(direct=40, gaze=30, mixed=200), settings))
    assert (kept["direct"], kept["gaze"] + kept["mixed"]) == (40, 61)


def test_without_shares_everything_stays_up_to_the_total() -> None:
    items = _items(direct=30, gaze=50)
    assert len(balance(items, BalanceSettings()).kept) == 80
    assert len(balance(items, BalanceSettings(total=7)).kept) == 7
    assert balance([], BalanceSettings(shares={D: 0.435})).kept == ()


def test_a_larger_quota_keeps_what_a_smaller_one_kept_and_the_run_seed_draws_others() -> None:
    items = _items(gaze=200)
    small, large = (set(balance(items, BalanceSettings(total=n)).kept) for n in (20, 60))
    assert small < large
    assert set(balance(items, BalanceSettings(total=20), 1).kept) != small


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shares": {"direct": 0.6, "gaze": 0.6}}, "more than 1"),
        ({"shares": {"direct": -0.1}}, "between 0 and 1"),
        ({"shares": {"looking": 0.5}}, "neither a behaviour nor a group"),
        ({"shares": {"free": 0.5}}, "no share names"),
        ({"shares": {"direct": 0.5, "all": 0.5}, "groups": {"all": ["direct", "gaze"]}}, "in two shares"),
        ({"share": {}}, "share"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        BalanceSettings.model_validate(settings)

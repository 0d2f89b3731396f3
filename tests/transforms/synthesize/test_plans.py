"""Plans follow the weights, err only where nobody learns it, and say what they took from the gold answer."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from fakes import HALF_LEFT, HALF_RIGHT, hit
from hypothesis import given
from hypothesis import strategies as st

from gog.schemas import Behaviour, Box, Evidence, Reflection, Region
from gog.transforms.synthesize.look import Looked
from gog.transforms.synthesize.plans import Plan, draw_plan

EVEN = {Behaviour.GLANCE: 1.0, Behaviour.GAZE: 1.0, Behaviour.MIXED: 1.0}


def region(name: str, box: Box = HALF_LEFT) -> Region:
    """A region by name."""
    return Region(region_id=name, seed_id="s", box=box, score=0.5, source="d")


PLACES = {name: Box(0.2 * n, 0.1, 0.2 * n + 0.15, 0.5) for n, name in enumerate("abcd")}


def look(name: str | None, score: float, *, names: bool = False, holds: bool = False, title: str = "x") -> Looked:
    """What a search of a region (or the glance: None) returned."""
    tool = "gaze" if name else "image_search"
    evidence = Evidence(evidence_id=f"e-{name}", tool=tool, hits=(hit(title, score=score),), provider="p")
    return Looked(region(name, PLACES[name]) if name else None, evidence, names, names, holds)


def draw(
    looked: Sequence[Looked],
    weights: Mapping[Behaviour, float] = EVEN,
    reflective: float = 0.0,
    key: str = "k",
    text_helps: bool = True,
) -> Plan | None:
    """A plan with the usual settings; the focus is the best of those that name the target."""
    named = [one for one in looked if one.titles_target]
    focus = max(named, key=lambda one: (one.score, one.region is None), default=None)
    return draw_plan(looked, focus, weights, reflective, key, text_helps=text_helps)


def draw_many(looked: Sequence[Looked], weights: Mapping[Behaviour, float], reflective: float) -> list[Plan]:
    """Two thousand plans of fixed keys."""
    plans = [draw(looked, weights, reflective, f"1/seed-{n}/0") for n in range(2000)]
    return [plan for plan in plans if plan is not None]


SURE = [look(None, 0.3), look("a", 0.9, names=True, holds=True), look("b", 0.5), look("c", 0.4)]


@pytest.mark.parametrize("weights", [(1.0, 1.0), (3.0, 1.0), (1.0, 9.0)])
def test_the_mix_follows_the_weights(weights: tuple[float, float]) -> None:
    gaze, mixed = weights
    plans = draw_many(SURE, {Behaviour.GAZE: gaze, Behaviour.MIXED: mixed, Behaviour.GLANCE: 5.0}, 0.0)
    share = Counter(plan.name for plan in plans)["gaze"] / len(plans)
    assert len(plans) == 2000
    assert share == pytest.approx(gaze / (gaze + mixed), abs=0.03)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_the_share_of_wrong_first_is_the_setting(share: float) -> None:
    plans = draw_many(SURE, EVEN, share)
    assert sum("wrong_first" in plan.name for plan in plans) / len(plans) == pytest.approx(share, abs=0.03)


def test_kind_and_wrong_first_are_drawn_apart() -> None:
    plans = draw_many(SURE, EVEN, 0.5)
    both = Counter((plan.name.startswith("mixed"), "wrong_first" in plan.name) for plan in plans)
    assert all(count / len(plans) == pytest.approx(0.25, abs=0.04) for count in both.values())
    assert len(both) == 4


def test_every_miss_with_the_focus_own_tool_is_drawn() -> None:
    firsts = Counter(plan.actions[0].region.region_id for plan in draw_many(SURE, EVEN, 1.0) if plan.actions[0].region)
    assert set(firsts) == {"b", "c"}
    assert sum(firsts.values()) == 2000


def test_a_wrong_first_action_is_not_trained_and_the_one_after_it_says_so() -> None:
    plan = draw(SURE, {Behaviour.MIXED: 1.0}, 1.0)
    assert plan is not None
    wrong, focus, text, answer = plan.actions
    assert [action.train for action in plan.actions] == [False, True, True, True]
    assert (wrong.tool, wrong.reflection) == ("gaze", None)
    assert focus.region is not None
    assert (focus.region.region_id, focus.reflection) == ("a", Reflection.OFF_TARGET)
    assert (text.tool, text.reflection) == ("text_search", Reflection.USEFUL)
    assert (answer.tool, answer.reflection) == (None, Reflection.USEFUL)


def test_another_tool_may_miss_where_nothing_else_did() -> None:
    plan = draw([look(None, 0.3), look("a", 0.9, names=True, holds=True)], {Behaviour.GAZE: 1.0}, 1.0)
    assert plan is not None
    assert [action.tool for action in plan.actions] == ["image_search", "gaze", None]


def test_no_wrong_first_where_nothing_missed() -> None:
    plan = draw([look("a", 0.9, names=True, holds=True)], EVEN, 1.0)
    assert plan is not None
    assert "wrong_first" not in plan.name


def test_the_glance_is_preferred_among_equals() -> None:
    plan = draw(
        [look("a", 0.9, names=True, holds=True), look(None, 0.9, names=True, holds=True)], {Behaviour.GLANCE: 1.0}
    )
    assert plan is not None
    assert plan.name == "glance"


def test_without_the_answer_a_text_search_follows() -> None:
    known = [look("a", 0.9, names=True)]
    assert {plan.name for plan in draw_many(known, EVEN, 0.0)} == {"mixed"}
    alone = draw(known, EVEN, text_helps=False)
    assert alone is not None
    assert alone.name == "gaze"


@pytest.mark.parametrize(
    ("looked", "weights"),
    [
        ([], EVEN),
        ([look("a", 0.99), look(None, 0.5)], EVEN),
        (SURE, {}),
        (SURE, {Behaviour.GLANCE: 1.0}),
        (SURE, {Behaviour.GAZE: 0.0, Behaviour.MIXED: 0.0}),
        ([look("a", 0.9, names=True)], {Behaviour.GAZE: 1.0}),
    ],
)
def test_no_plan_where_nothing_supports_one(looked: list[Looked], weights: dict[Behaviour, float]) -> None:
    assert draw(looked, weights) is None


def test_what_the_gold_answer_decided_is_said() -> None:
    named = draw(SURE)
    assert named is not None
    assert named.used_gold


def test_no_miss_is_of_the_place_of_the_focus() -> None:
    focus = look("a", 0.9, names=True, holds=True)
    twin = Looked(region("twin", Box(0.02, 0.12, 0.14, 0.4)), look("b", 0.2).evidence, False, False, False)
    plan = draw([focus, twin], {Behaviour.GAZE: 1.0}, 1.0)
    assert plan is not None
    assert plan.name == "gaze"


def test_naming_the_target_beats_the_score() -> None:
    plan = draw([look("a", 0.99), look("b", 0.1, names=True, holds=True)])
    assert plan is not None
    assert plan.actions[0].region is not None
    assert plan.actions[0].region.region_id == "b"


_LOOKED = st.lists(
    st.tuples(st.none() | st.sampled_from("abcd"), st.floats(0, 1), st.booleans(), st.booleans()),
    max_size=5,
    unique_by=lambda one: one[0],
).map(lambda many: [look(name, score, names=names, holds=holds) for name, score, names, holds in many])


@given(
    _LOOKED, st.dictionaries(st.sampled_from(list(Behaviour)), st.floats(0, 10)), st.floats(0, 1), st.text(max_size=5)
)
def test_any_plan_can_be_acted_and_is_drawn_by_its_key_alone(
    looked: list[Looked], weights: dict[Behaviour, float], reflective: float, key: str
) -> None:
    plan = draw(looked, weights, reflective, key)
    assert plan == draw(looked, weights, reflective, key)
    if plan is None:
        return
    tools = [action.tool for action in plan.actions]
    assert tools[-1] is None
    assert None not in tools[:-1]
    assert len(set(plan.actions)) == len(plan.actions)
    assert plan.actions[0].reflection is None
    assert all(action.reflection is not None for action in plan.actions[1:])
    assert [action.train for action in plan.actions[1:]] == [True] * (len(tools) - 1)
    assert weights[Behaviour(plan.name.split("+")[0])] > 0


def test_other_boxes_are_other_plans() -> None:
    assert region("a") != region("a", HALF_RIGHT)


@pytest.mark.parametrize(
    ("kind", "tools"), [(Behaviour.DIRECT, [None]), (Behaviour.TEXT, ["text_search", None])], ids=str
)
@pytest.mark.parametrize("looked", [[], [look("a", 0.9, names=True, holds=True)]], ids=["blind", "found"])
def test_plans_that_look_at_nothing_are_drawn_by_weight_alone(
    kind: Behaviour, tools: list[str | None], looked: list[Looked]
) -> None:
    plan = draw(looked, {kind: 1.0}, 1.0, "key")
    assert plan is not None
    assert [action.tool for action in plan.actions] == tools
    assert not plan.used_gold


def test_no_text_plan_without_a_text_search() -> None:
    assert draw_plan([], None, {Behaviour.TEXT: 1.0}, 0.0, "key", text_helps=False) is None

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verifying import Turn, make_evidence, make_trajectory, make_verdict

from gog.schemas import Behaviour, Box, Origin, Step, Trajectory
from gog.transforms.curate.select import Candidate, select

FOUND = make_evidence("e1", "x")


def _candidate(
    name: str,
    *,
    calls: int = 1,
    grounded: bool | None = True,
    useful: bool | None = None,
    behaviour: Behaviour = Behaviour.GAZE,
    reflective: bool = False,
    seed_id: str = "s",
) -> Candidate:
    turns = [Turn("look", "gaze", FOUND)] * calls + [Turn("Kenya")]
    trajectory = make_trajectory(turns, trajectory_id=name, behaviour=behaviour, reflective=reflective, seed_id=seed_id)
    return Candidate(trajectory, make_verdict(trajectory, grounded=grounded, useful=useful))


def _kept(*candidates: Candidate, keep: int = 1, prefer_reflective: bool = False) -> list[str]:
    kept, _ = select(candidates, keep, prefer_reflective=prefer_reflective)
    return [candidate.trajectory.trajectory_id for candidate in kept]


def test_grounded_then_useful_then_short_then_id() -> None:
    assert _kept(_candidate("a", grounded=False, useful=True), _candidate("b", calls=3)) == ["b"]
    assert _kept(_candidate("a", calls=1, useful=False), _candidate("b", calls=3, useful=True)) == ["b"]
    assert _kept(_candidate("a", calls=2, useful=True), _candidate("b", calls=1)) == ["b"]
    assert _kept(_candidate("a", calls=3), _candidate("b", calls=1)) == ["b"]
    assert _kept(_candidate("b"), _candidate("a")) == ["a"]


def test_an_attempt_without_search_is_as_good_as_grounded() -> None:
    direct = _candidate("z", calls=0, grounded=None, behaviour=Behaviour.DIRECT)
    assert _kept(_candidate("a", calls=1), direct) == ["z"]


def test_among_equals_a_behaviour_that_is_not_kept_yet_comes_first() -> None:
    candidates = [_candidate("a"), _candidate("b"), _candidate("c", behaviour=Behaviour.GLANCE)]
    assert _kept(*candidates, keep=2) == ["a", "c"]


def test_reflective_ones_are_preferred_where_wanted_though_longer() -> None:
    plain, reflective = _candidate("a", calls=1), _candidate("b", calls=3, reflective=True)
    assert _kept(plain, reflective) == ["a"]
    assert _kept(plain, reflective, prefer_reflective=True) == ["b"]


def _at(candidate: Candidate, origin: Origin, box: Box | None) -> Candidate:
    """The attempt with a gaze at a box, made so."""
    steps = () if box is None else (Step(turn=0, action="gaze", box=box),)
    changed = {"origin": origin, "steps": steps, "plan": "gaze" if origin is Origin.COMPOSE else ""}
    return Candidate(Trajectory.model_validate(candidate.trajectory.model_dump() | changed), candidate.verdict)


LEFT, RIGHT = Box(0.1, 0.1, 0.4, 0.4), Box(0.6, 0.1, 0.9, 0.4)


def test_no_composed_attempt_beats_a_rollout_unless_its_gaze_names_the_target() -> None:
    rollout = _at(_candidate("z", calls=3), Origin.ROLLOUT, LEFT)
    reflective = _candidate("a", reflective=True)
    assert _kept(rollout, _at(reflective, Origin.COMPOSE, LEFT), prefer_reflective=True) == ["z"]
    named = _candidate("a", reflective=True, useful=True)
    assert _kept(rollout, _at(named, Origin.COMPOSE, LEFT), prefer_reflective=True) == ["a"]


@pytest.mark.parametrize(
    ("useful", "rollouts", "reason"),
    [
        (None, [RIGHT], "curate.off_focus"),
        (None, [RIGHT, LEFT], "curate.not_best"),
        (None, [None], "curate.not_best"),
        (True, [RIGHT], None),
    ],
)
def test_a_composed_gaze_where_no_rollout_looked_is_off_focus(
    useful: bool | None, rollouts: list[Box | None], reason: str | None
) -> None:
    composed = _at(_candidate("c", useful=useful), Origin.COMPOSE, LEFT)
    others = [_at(_candidate(f"r{n}", calls=2), Origin.ROLLOUT, box) for n, box in enumerate(rollouts)]
    kept, rejects = select([composed, *others])
    assert {reject.id: reject.reason for reject in rejects}.get("c") == reason
    assert len(kept) + len(rejects) == 1 + len(others)


def test_where_rollouts_found_nothing_of_use_their_place_says_nothing() -> None:
    composed = _at(_candidate("c"), Origin.COMPOSE, LEFT)
    astray = _at(_candidate("r", useful=False), Origin.ROLLOUT, RIGHT)
    assert _kept(composed, astray) == ["c"]


def test_the_others_leave_with_their_reason() -> None:
    kept, rejects = select([_candidate(name) for name in "cba"], 1)
    assert [reject.id for reject in rejects] == ["b", "c"]
    assert {(reject.reason, reject.seed_id) for reject in rejects} == {("curate.not_best", "s")}
    assert len({reject.reject_id for reject in rejects}) == 2
    assert len(kept) == 1


def test_several_seeds_or_unverified_attempts_are_refused() -> None:
    with pytest.raises(ValueError, match="one seed"):
        select([_candidate("a"), _candidate("b", seed_id="t")])
    bad = _candidate("a")
    wrong = Candidate(bad.trajectory, bad.verdict.model_copy(update={"reasons": ("verify.wrong",)}))
    with pytest.raises(ValueError, match="verified"):
        select([wrong])


specs = st.tuples(
    st.integers(0, 3), st.sampled_from([True, None, False]), st.sampled_from([True, None, False]), st.booleans()
)


@given(st.lists(specs, max_size=8), st.integers(0, 4), st.booleans(), st.randoms(use_true_random=False))
def test_nothing_is_lost_and_order_does_not_matter(
    made: list[tuple[int, bool | None, bool | None, bool]], keep: int, reflective: bool, order: random.Random
) -> None:
    candidates = [
        _candidate(f"t{number}", calls=calls, grounded=grounded, useful=useful, reflective=turned)
        for number, (calls, grounded, useful, turned) in enumerate(made)
    ]
    kept, rejects = select(candidates, keep, prefer_reflective=reflective)
    assert len(kept) == min(keep, len(candidates))
    ids = [candidate.trajectory.trajectory_id for candidate in kept] + [reject.id for reject in rejects]
    assert sorted(ids) == sorted(candidate.trajectory.trajectory_id for candidate in candidates)
    shuffled = order.sample(candidates, len(candidates))
    assert select(shuffled, keep, prefer_reflective=reflective) == (kept, rejects)

"""How long the rest takes, by the decisions so far."""

from gog.pipelines.show.web.pace import minutes_left
from gog.schemas import Decision, Review


def reviews(*made: float, who: str = "ana", bulk: bool = False) -> dict[str, dict[str, Review]]:
    values = {"review_id": "", "seed_id": "s", "reviewer": who, "number": 1, "decision": Decision.ACCEPT, "bulk": bulk}
    return {f"{who}{n}": {who: Review(trajectory_id=f"{who}{n}", **values, made=at)} for n, at in enumerate(made)}


def test_the_median_gap_times_what_is_left() -> None:
    assert minutes_left(reviews(0, 10, 20, 30, 45, 55), "ana", 180) == 30
    assert minutes_left(reviews(0, 10, 20, 30, 45, 55), "ana", 1) == 1


def test_a_pause_is_no_pace() -> None:
    assert minutes_left(reviews(0, 10, 20, 5000, 5010, 5020), "ana", 60) == 10


def test_nobody_can_tell() -> None:
    assert minutes_left(reviews(0, 10, 20), "ana", 60) is None, "too few"
    assert minutes_left(reviews(0, 10, 20, 30, 40, who="ben"), "ana", 60) is None, "somebody else's"
    assert minutes_left(reviews(0, 10, 20, 30, 40, bulk=True), "ana", 60) is None, "in bulk"
    assert minutes_left(reviews(0, 10, 20, 30, 40), "ana", 0) is None, "nothing is left"

import pytest
from verifying import Turn, make_evidence, make_seed, make_trajectory

from gog.schemas import AnswerType, FailureClass
from gog.transforms.verify.grounding import (
    answer_names,
    evidence_of,
    evidence_text,
    gaze_useful,
    literal,
    searched,
    target_names,
)

FOUND = make_evidence("e1", "Flag of Kenya", "Flag of Malawi", snippet="A tricolour.")
MISSED = make_evidence("e2", "Flag of Malawi")
READ = make_evidence("e3", "Kenya", tool="text_search", snippet="Its capital is Nairobi.").model_copy(
    update={"query": "capital of Kenya"}
)


def test_evidence_text_holds_what_was_asked_and_found_in_order() -> None:
    assert evidence_text([FOUND, READ]).splitlines() == [
        "gaze",
        "- Flag of Kenya: A tricolour.",
        "- Flag of Malawi: A tricolour.",
        "text_search: capital of Kenya",
        "- Kenya: Its capital is Nairobi.",
    ]


def test_calls_that_failed_or_found_nothing_leave_no_text() -> None:
    failed = FOUND.model_copy(update={"failure": FailureClass.TIMEOUT})
    assert evidence_text([make_evidence("e4"), failed]) == ""


def test_a_long_text_leaves_every_call_its_share() -> None:
    long = make_evidence("e5", "x" * 5000)
    text = evidence_text([long, READ, long], limit=900)
    assert len(text) <= 902
    assert "Nairobi" in text


def test_evidence_that_is_missing_is_an_error() -> None:
    trajectory = make_trajectory([Turn("look", "gaze", FOUND), Turn("Kenya")])
    assert evidence_of(trajectory, {"e1": FOUND}) == (FOUND,)
    with pytest.raises(KeyError, match="e1"):
        evidence_of(trajectory, {})


def test_literal_goes_by_normalised_words() -> None:
    assert literal(["NAIROBI"], evidence_text([READ]))
    assert literal(["It is Nairobi."], evidence_text([READ]))
    assert not literal(["Nairo"], evidence_text([READ]))
    assert not literal([""], evidence_text([READ]))


def test_evidence_is_a_search_that_came_back() -> None:
    assert searched([MISSED])
    assert not searched([])


def test_a_crop_that_was_only_shown_is_no_search_and_no_gaze() -> None:
    shown = FOUND.model_copy(update={"tool": "zoom", "hits": (), "provider": ""})
    trajectory = make_trajectory([Turn("look", "zoom", shown), Turn("Kenya")])
    assert not searched([shown])
    assert gaze_useful(trajectory, make_seed("Nairobi", entity="Kenya"), {"e1": shown}) is None


@pytest.mark.parametrize(
    ("turns", "useful"),
    [
        ([Turn("look", "gaze", FOUND), Turn("Kenya")], True),
        ([Turn("look", "gaze", MISSED), Turn("Kenya")], False),
        ([Turn("look", "gaze", MISSED), Turn("again", "gaze", FOUND), Turn("Kenya")], True),
        ([Turn("read", "text_search", READ), Turn("Kenya")], None),
        ([Turn("look", "gaze"), Turn("Kenya")], None),
    ],
)
def test_a_gaze_is_useful_when_its_hits_name_the_target(turns: list[Turn], useful: bool | None) -> None:
    by_id = {item.evidence_id: item for item in (FOUND, MISSED, READ)}
    seed = make_seed("Nairobi", entity="Kenya")
    assert gaze_useful(make_trajectory(turns), seed, by_id) is useful


def test_a_query_that_names_the_target_makes_no_gaze_useful() -> None:
    asked = MISSED.model_copy(update={"query": "Kenya"})
    trajectory = make_trajectory([Turn("look", "gaze", asked), Turn("Kenya")])
    assert gaze_useful(trajectory, make_seed("Nairobi", entity="Kenya"), {"e2": asked}) is False
    assert gaze_useful(trajectory, make_seed("Kenya"), {"e2": asked}) is None, "nothing says what the target is"


def test_numbers_and_yes_or_no_are_no_targets() -> None:
    assert target_names(make_seed("2", kind=AnswerType.NUMBER)) == ()
    assert target_names(make_seed("12", "no", "Kenya")) == ()
    assert answer_names(make_seed("12", "no", "Kenya")) == ("Kenya",)
    assert answer_names(make_seed("日本", "日", "Rio", "Os")) == ("日本", "Rio")
    assert target_names(make_seed("2", kind=AnswerType.NUMBER, entity="Kenya")) == ("Kenya",)
    trajectory = make_trajectory([Turn("look", "gaze", FOUND), Turn("2")], answer="2")
    assert gaze_useful(trajectory, make_seed("2", kind=AnswerType.NUMBER), {"e1": FOUND}) is None

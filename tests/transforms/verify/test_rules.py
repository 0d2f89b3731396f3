import pytest
from hypothesis import given
from hypothesis import strategies as st
from verifying import make_seed

from gog.schemas import AnswerType, Method, Outcome
from gog.transforms.verify.normalise import normalise
from gog.transforms.verify.rules import check

RIGHT, WRONG, UNKNOWN = Outcome.CORRECT, Outcome.WRONG, Outcome.UNKNOWN
NUMBER, DATE, YES_NO = AnswerType.NUMBER, AnswerType.DATE, AnswerType.YES_NO


@pytest.mark.parametrize(
    ("answer", "method"),
    [
        ("Kenya", Method.EXACT),
        ("It is Kenya.", Method.EXACT),
        ("The answer is: **Kenya**", Method.EXACT),
        ("So, the final answer is Kenya!", Method.EXACT),
        ("It's Kenya", Method.EXACT),
        ("Republic of Kenya", Method.ALIAS),
        ("KE NYA", Method.EXACT),
        ("\u202bKenya\u202c", Method.EXACT),
    ],
)
def test_a_name_is_confirmed(answer: str, method: Method) -> None:
    assert check(answer, make_seed("Kenya", "Republic of Kenya")) == (RIGHT, method)


@pytest.mark.parametrize(
    "answer",
    [
        *("Uganda", "not Kenya", "It is not Kenya", "Kenya or Uganda", "Kenya, Uganda", "Kenya and Uganda", "Kenyan"),
        *("either Kenya", "Kenya?" * 400, "!!!", "，。", "肯尼亚", "כן", "Kenya (perhaps)", "<answer>Uganda</answer>"),
    ],
)
def test_no_rule_confirms_or_refuses_other_names(answer: str) -> None:
    assert check(answer, make_seed("Kenya", "Indonesia")) == (UNKNOWN, Method.NONE)


def test_several_accepted_forms_in_one_answer_are_several_candidates() -> None:
    assert check("Indonesia, Monaco", make_seed("Indonesia", "Monaco"))[0] is UNKNOWN


@pytest.mark.parametrize("answer", [None, "", " \n\t", "I don't know.", "unknown", "N/A", "?"])
def test_no_answer_is_wrong(answer: str | None) -> None:
    assert check(answer, make_seed("Kenya")) == (WRONG, Method.NONE)


def test_an_accepted_form_may_be_a_sentence() -> None:
    assert check("There are only six books", make_seed("It is said.", "There are only six books."))[0] is RIGHT
    assert check("only six books", make_seed("There are only six books."))[0] is UNKNOWN, "nothing is cut from it"


def test_unknown_can_be_the_right_answer() -> None:
    assert check("unknown", make_seed("Unknown"))[0] is RIGHT


def test_in_a_closed_world_another_name_is_wrong() -> None:
    assert check("Uganda", make_seed("Kenya"), closed=True) == (WRONG, Method.EXACT)
    assert check("Kenya " * 500, make_seed("Kenya"), closed=True)[0] is WRONG


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("There are 12 flags.", RIGHT),
        ("twelve", RIGHT),
        ("12 (twelve)", RIGHT),
        ("13", WRONG),
        ("zero", WRONG),
        ("12 or 13", UNKNOWN),
        ("not 12", UNKNOWN),
        ("many", UNKNOWN),
        ("12th", UNKNOWN),
        ("1" * 900, UNKNOWN),
    ],
)
def test_a_count_is_settled_both_ways(answer: str, outcome: Outcome) -> None:
    assert check(answer, make_seed("12", kind=NUMBER))[0] is outcome


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("50", RIGHT),
        ("46 km", RIGHT),
        ("48,000 m", RIGHT),
        ("47-52", RIGHT),
        ("40-60", UNKNOWN),
        ("60", WRONG),
        ("50 kg", UNKNOWN),
    ],
)
def test_a_range_of_the_source_is_taken_as_it_stands(answer: str, outcome: Outcome) -> None:
    assert check(answer, make_seed("50 km", kind=NUMBER, low=45, high=55))[0] is outcome
    assert check(answer, make_seed("50", kind=NUMBER, unit="km", low=45, high=55))[0] is outcome


def test_a_mark_or_a_share_is_no_reason_to_settle_by_a_range() -> None:
    assert check("10.000", make_seed("10", kind=NUMBER, low=9, high=11))[0] is UNKNOWN
    assert check("10,000", make_seed("10", kind=NUMBER, low=9, high=11))[0] is UNKNOWN
    assert check("0.45", make_seed("45%", kind=NUMBER, low=40, high=50))[0] is UNKNOWN
    assert check("0.65", make_seed("45%", kind=NUMBER, low=40, high=50))[0] is WRONG


def test_one_end_of_a_range_leaves_the_number_as_the_other() -> None:
    seed = make_seed("50", kind=NUMBER, low=45)
    assert [check(answer, seed)[0] for answer in ("44", "47", "50", "51")] == [WRONG, RIGHT, RIGHT, WRONG]


def test_any_accepted_number_will_do_and_wrong_means_wrong_against_all() -> None:
    assert check("13", make_seed("12", "13", kind=NUMBER))[0] is RIGHT
    assert check("14", make_seed("12", "13", kind=NUMBER)) == (WRONG, Method.NUMBER)
    assert check("14", make_seed("12", "a lot", kind=NUMBER))[0] is UNKNOWN


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("12 March 2020", RIGHT),
        ("It was on March 12, 2020.", RIGHT),
        ("2019", WRONG),
        ("13 March 2020", WRONG),
        ("2020", UNKNOWN),
        ("03/12/2020", UNKNOWN),
        ("11/10/2020", WRONG),
        ("spring", UNKNOWN),
    ],
)
def test_a_date_is_settled_both_ways(answer: str, outcome: Outcome) -> None:
    assert check(answer, make_seed("2020-03-12", kind=DATE))[0] is outcome


def test_a_year_accepts_a_date_in_it_and_a_range_of_years_its_inside() -> None:
    assert check("12 March 2020", make_seed("2020", kind=DATE)) == (RIGHT, Method.DATE)
    assert check("1995", make_seed("1994", kind=DATE, low=1993, high=1995))[0] is RIGHT
    assert check("1996", make_seed("1994", kind=DATE, low=1993, high=1995))[0] is WRONG


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("Yes", RIGHT),
        ("Yes, it is.", RIGHT),
        ("true", RIGHT),
        ("No.", WRONG),
        ("No, it isn't", WRONG),
        ("No, it is", UNKNOWN),
        ("Yes, but it is not", UNKNOWN),
        ("No, there is no flag", UNKNOWN),
        ("sí", RIGHT),
        ("いいえ", WRONG),
        ("Nope", WRONG),
        ("yes and no", UNKNOWN),
        ("Yes, no", UNKNOWN),
        ("No one knows", UNKNOWN),
        ("not really", UNKNOWN),
    ],
)
def test_yes_or_no_is_settled_both_ways(answer: str, outcome: Outcome) -> None:
    assert check(answer, make_seed("yes", kind=YES_NO))[0] is outcome


@pytest.mark.parametrize(
    ("answer", "gold", "outcome"),
    [
        ("1,994", "1994", RIGHT),
        ("It was 1994.", "1994", RIGHT),
        ("March 12, 2020", "2020-03-12", RIGHT),
        ("8849 metres", "8,849 m", RIGHT),
        ("Gemini 11", "Apollo 11", UNKNOWN),
        ("21", "21 Savage", UNKNOWN),
        ("50", "50 Cent", UNKNOWN),
        ("13", "12", UNKNOWN),
    ],
)
def test_a_string_that_is_a_number_or_date_may_be_confirmed_as_one(answer: str, gold: str, outcome: Outcome) -> None:
    assert check(answer, make_seed(gold))[0] is outcome


texts = st.text(max_size=60)


@given(texts, st.sampled_from(AnswerType))
def test_an_accepted_form_is_right_whatever_the_type(text: str, kind: AnswerType) -> None:
    if normalise(text):
        assert check(text, make_seed("something else", text, kind=kind))[0] is RIGHT


@given(st.one_of(st.none(), st.text(max_size=1200)), texts, st.sampled_from(AnswerType), st.booleans())
def test_any_answer_is_checked_without_trouble(answer: str | None, gold: str, kind: AnswerType, closed: bool) -> None:
    outcome, method = check(answer, make_seed(gold, kind=kind), closed=closed)
    assert (outcome is UNKNOWN) <= (method is Method.NONE)
    assert not (closed and outcome is UNKNOWN)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_two_numbers_in_one_answer_are_never_right(one: int, other: int) -> None:
    if one != other:
        for joint in (" or ", ", ", "; ", " / maybe "):
            assert check(f"{one}{joint}{other}", make_seed(str(one), kind=NUMBER))[0] is not RIGHT

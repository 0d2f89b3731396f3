import pytest
from hypothesis import given
from hypothesis import strategies as st
from verifying import Turn, make_evidence, make_seed, make_trajectory

from gog.schemas import AnswerType, StopReason
from gog.transforms.verify.leaks import leakable, leaks

FOUND = make_evidence("e1", "Flag of Kenya", snippet="Four bands, a shield and the number 1,963,000.")
OTHER = make_evidence("e2", "Flag of Malawi")
SEED = make_seed("Kenya", "Republic of Kenya")


def _kinds(said: str, **more: str) -> set[str]:
    seed = make_seed("Kenya", question=more.get("question", "Which flag is at the top right?"))
    found = leaks(make_trajectory([Turn(said, "gaze", OTHER, shown=more.get("shown")), Turn("Kenya")]), seed)
    return {leak.split(": ")[1] for leak in found}


@pytest.mark.parametrize(
    "said",
    [
        *("I will use the hint.", "Hint 2 looks promising.", "The given hints point there.", "With hints like these"),
        *("Candidate region 2 is the one.", "The proposed regions cover it.", "Region 3 shows a flag."),
        *("From the list of regions I take one.", "The detector found a flag there.", "Region #2 it is."),
        *("Of the regions that a detector found, this matters.", "the provided   boxes", "DETECTED BOXES help"),
        *("the second box in the list", "the boxes provided above", "the detections above", "Box 2 looks right"),
        *("One of the regions I was given", "检测器给出的第2个框最可能。", "根据提示，在右上角。", "候选区域里"),
        *("Laut Hinweis liegt es rechts oben.", "Der Detektor zeigt sie.", "ヒントによると右上です。", "検出器の枠"),
        *("Según la pista está arriba.", "las regiones sugeridas", "Selon l'indice, à droite.", "le détecteur montre"),
        *("les zones proposées", "حسب التلميح فهو في الأعلى", "المنطقة المقترحة"),
    ],
)
def test_a_named_hint_is_a_leak(said: str) -> None:
    assert _kinds(said) == {"hint"}


@pytest.mark.parametrize(
    "said",
    [
        *("The plan says to look left first.", "According to the plan, I gaze.", "As instructed, I look at it."),
        *("I was told to search here.", "I'm supposed to look wrong first.", "My instructions say to gaze."),
        *("Step 2 of the plan: look.", "The reference answer fits.", "This matches the ground truth."),
        *(
            "the accepted answer",
            "按照计划，先看错误的区域。",
            "计划要求先看左边",
            "与标准答案一致",
            "計画によると左です。",
            "模範解答",
        ),
        *("Laut Plan zuerst links.", "Mir wurde gesagt, dort zu suchen.", "Según el plan, miro.", "se me pidió mirar"),
        *("Selon le plan, je regarde.", "on m'a demandé de regarder", "la réponse attendue", "حسب الخطة أنظر يسارا"),
    ],
)
def test_a_named_plan_is_a_leak(said: str) -> None:
    assert _kinds(said) == {"plan"}


@pytest.mark.parametrize(
    "said",
    [
        *(
            "There is a hint of blue in the corner.",
            "The shield hints at East Africa.",
            "It has the hint of a map.",
        ),
        *("My plan is to look at the right first.", "I plan to search.", "The top right region matters."),
        *("The region around the shield is small.", "I will crop image 1.", "The candidates are two flags."),
        *(
            "The correct answer needs a search.",
            "Evidence: off target. I look elsewhere.",
            "A metal detector.",
        ),
        *(
            "",
            "!!!",
            "النص",
            "我看右上角的旗。",
            "提示牌上写着字",
            "我的计划是先看左边",
            "Der Plan der Stadt",
            "El plan es mío",
        ),
        *(
            "The region above the flag",
            "the boxes above and below it",
            "The areas given in the article",
            "The first box",
        ),
        *("He proposed marriage", "The correct answer is near", "un indice de plus", "ヒントはない"),
    ],
)
def test_ordinary_reasoning_is_none(said: str) -> None:
    assert _kinds(said) == set()


def test_words_of_the_question_or_of_a_result_are_no_leak() -> None:
    assert _kinds("Region 4 is the Volta region.", question="What is in region 4?") == set()
    trajectory = make_trajectory(
        [
            Turn("search", "text_search", OTHER, shown="The list of regions of Kenya"),
            Turn("The list of regions."),
        ]
    )
    assert leaks(trajectory, SEED) == ()


def test_a_hint_in_the_final_turn_or_in_the_reasoning_is_a_leak_too() -> None:
    assert leaks(make_trajectory([Turn("Region 2 settles it: Kenya")]), SEED) == ("turn 0: hint: region 2",)
    reasoned = make_trajectory([Turn("", "gaze", OTHER, reasoning="the plan says so"), Turn("Kenya")])
    assert leaks(reasoned, SEED) == ("turn 0: plan: the plan says",)


def test_the_gold_answer_before_any_evidence_is_a_leak_and_after_it_none() -> None:
    early = make_trajectory([Turn("Kenya's flag, surely.", "gaze", FOUND), Turn("Kenya")])
    assert leaks(early, SEED) == ("turn 0: gold: kenya",)
    after = make_trajectory([Turn("Look.", "gaze", FOUND), Turn("Kenya? Read.", "text_search", OTHER), Turn("Kenya")])
    assert leaks(after, SEED) == ()
    unshown = make_trajectory([Turn("Look.", "gaze", OTHER), Turn("Kenya then.", "text_search", FOUND), Turn("Kenya")])
    assert leaks(unshown, SEED) == ("turn 1: gold: kenya",)


@pytest.mark.parametrize(
    ("answer", "number", "telling"),
    [
        ("1889", True, True),
        ("1889", False, True),
        ("476", True, False),
        ("1,963", True, True),
        ("1963 km", True, True),
        ("999 km", True, False),
        ("7", False, False),
        ("Rio", False, True),
        ("Os", False, False),
        ("日本", False, True),
        ("日", False, False),
        ("red", False, False),
    ],
)
def test_which_answers_give_themselves_away(answer: str, number: bool, telling: bool) -> None:
    seed = make_seed(answer, question="What is it?", kind=AnswerType.NUMBER if number else AnswerType.STRING)
    assert bool(leakable(seed)) == telling
    early = make_trajectory([Turn(f"It is {answer}, I think.", "gaze", OTHER), Turn(answer)], answer=answer)
    assert bool(leaks(early, seed)) == telling


def test_the_final_turn_may_name_the_answer_but_a_turn_of_an_unfinished_episode_may_not() -> None:
    direct = make_trajectory([Turn("This is Kenya.")])
    assert leaks(direct, SEED) == ()
    cut = make_trajectory([Turn("This is Kenya.", "none")], stop=StopReason.OUT_OF_TURNS, answer=None)
    assert leaks(cut, SEED) == ("turn 0: gold: kenya",)


def test_one_accepted_form_in_the_evidence_frees_the_others() -> None:
    turns = [Turn("Look.", "gaze", FOUND), Turn("The Republic of Kenya.", "text_search", OTHER), Turn("Kenya")]
    assert leaks(make_trajectory(turns), SEED) == ()


def test_big_numbers_tell_in_any_writing_and_small_ones_do_not() -> None:
    seed = make_seed("1963000", kind=AnswerType.NUMBER)
    early = make_trajectory([Turn("It has 1,963,000 people.", "gaze", OTHER), Turn("1963000")])
    assert leaks(early, seed) == ("turn 0: gold: 1963000",)
    assert leakable(make_seed("2", "two", "12 m", kind=AnswerType.NUMBER)) == ()


def test_an_animal_tells() -> None:
    assert leakable(make_seed("Dog", "Cat")) == ("dog", "cat")


@pytest.mark.parametrize("answer", ["no", "red", "Left", "2", "12", "UK", "x"])
def test_words_that_stand_in_any_reasoning_do_not_tell(answer: str) -> None:
    assert leakable(make_seed(answer)) == ()


def test_yes_or_no_and_what_the_question_names_do_not_tell() -> None:
    assert leakable(make_seed("Yes", kind=AnswerType.YES_NO)) == ()
    assert leakable(make_seed("Kenya", "Uganda", question="Is it Kenya or another?")) == ("uganda",)
    assert leakable(make_seed("12 March 2020", "肯尼亚", kind=AnswerType.DATE)) == ("12 march 2020", "肯尼亚")


@given(st.text(max_size=300), st.text(max_size=300), st.text(min_size=1, max_size=30))
def test_any_text_is_searched_without_trouble(said: str, shown: str, gold: str) -> None:
    trajectory = make_trajectory([Turn(said, "gaze", OTHER, shown=shown), Turn(said)])
    for leak in leaks(trajectory, make_seed(gold)):
        assert leak.startswith("turn ")


def test_a_flood_of_spaces_costs_nothing() -> None:
    assert _kinds("region" + " " * 50_000 + "the list of " * 2_000) == set()

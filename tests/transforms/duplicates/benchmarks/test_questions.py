import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.transforms.duplicates.benchmarks.questions import QuestionIndex, naming, tokens
from gog.transforms.duplicates.benchmarks.settings import OverlapSettings

NAMED = "How many goals had the team in the blue kit scored after the own goal by Ramy Bensebaini in Barcelona?"
SHORT = "When was the Eiffel Tower in Paris finally opened to visitors?"
TEMPLATE = "Based on the provided image, what is the location where the protest is taking place?"
CHINESE = "图中这座由贝聿铭设计的玻璃金字塔位于哪个博物馆的入口处？"
CHINESE_TEMPLATE = "这张图片中的人物是哪个国家的总统？"
ALL = [NAMED, SHORT, TEMPLATE, CHINESE, CHINESE_TEMPLATE, "What is this?", "Who?"]


def alone(question: str, index: QuestionIndex) -> list[int]:
    return [match.question for match in index.find(question) if match.alone]


def known(question: str, index: QuestionIndex) -> list[int]:
    return [match.question for match in index.find(question)]


@pytest.fixture(scope="module")
def index() -> QuestionIndex:
    return QuestionIndex(ALL)


@pytest.mark.parametrize(
    ("question", "number"),
    [
        (NAMED, 0),
        (NAMED.lower().rstrip("?"), 0),
        (f"Look closely. {NAMED} Answer with a number.", 0),
        ("So, " + NAMED.removeprefix("How many goals had "), 0),
        ("When was the Eiffel Tower in Paris opened to visitors?", 1),
        (SHORT.upper(), 1),
        (CHINESE, 3),
        (f"请看图。{CHINESE}请简短回答。", 3),
        (CHINESE.replace("？", "") + "呢", 3),
    ],
)
def test_copies_and_rewordings_of_questions_that_name_something_stand_alone(
    index: QuestionIndex, question: str, number: int
) -> None:
    assert alone(question, index) == [number]


@pytest.mark.parametrize("question", [TEMPLATE, CHINESE_TEMPLATE, "What is this?"])
def test_templates_are_found_and_do_not_stand_alone(index: QuestionIndex, question: str) -> None:
    assert ALL.index(question) in known(question, index)
    assert alone(question, index) == []


@pytest.mark.parametrize(
    "question",
    [
        "How many goals had the team in the red kit conceded before half time?",
        "When was the Tower Bridge in London finally opened to ships?",
        "Who?",
        "",
        "图中的桥是哪一年建成的？",
    ],
)
def test_other_questions_are_not_found(index: QuestionIndex, question: str) -> None:
    assert set(known(question, index)) <= {ALL.index("What is this?")}
    assert alone(question, index) == []


def test_a_rewording_with_another_name_or_year_does_not_stand_alone() -> None:
    index = QuestionIndex(["Which team won the final of the World Cup that was played in Qatar in 2022?"])
    assert alone("Which team won the final of the World Cup that was played in Qatar in the year 2022?", index) == [0]
    assert alone("Which team won the final of the World Cup that was played in Russia in 2018?", index) == []


def test_a_run_that_many_questions_hold_is_a_template() -> None:
    many = [f"What did the owner of the shop in Market Street 12 say about item {name}?" for name in "abcdefgh"]
    asked = "What did the owner of the shop in Market Street 12 say about it?"
    assert alone(asked, QuestionIndex(many[:3])) == [0, 1, 2]
    assert alone(asked, QuestionIndex(many)) == []
    assert alone(asked, QuestionIndex(many, OverlapSettings(question_rows=8))) == list(range(8))


def test_a_page_that_quotes_a_question_is_told(index: QuestionIndex) -> None:
    page = f"A test set. Row 17: {NAMED} 5. Row 18: {TEMPLATE} Paris. {CHINESE}"
    assert [match.question for match in index.find_in(page)] == [0, 3]
    assert index.find_in("The Eiffel Tower in Paris was opened in 1889. " * 50) == []


def test_names_are_numbers_capitals_and_rare_characters() -> None:
    assert naming("When did Kim win the Ballon d'Or in 2022?") == {"kim", "ballon", "2022"}
    assert naming("In Which Year Was This Building Built?") == frozenset()
    assert naming("What is this? Who made it?") == frozenset()
    assert {"贝", "聿", "铭"} <= naming(CHINESE)
    assert naming(CHINESE_TEMPLATE) == frozenset()


def test_characters_are_tokens_where_words_are_not_spaced() -> None:
    assert tokens("iPhone 15的价格？") == ("iphone", "15", "的", "价", "格")
    assert tokens("iPhone15的") == ("iphone15", "的")


WORDS = st.lists(st.sampled_from([*NAMED.split(), *"这座金字塔"]), max_size=20).map(" ".join)
TEXTS = st.text(max_size=80) | WORDS


@given(st.lists(TEXTS, max_size=6, unique=True), st.data())
def test_any_text_can_be_indexed_and_asked_for(questions: list[str], data: st.DataObject) -> None:
    index = QuestionIndex(questions)
    text = data.draw(TEXTS | st.sampled_from([*questions, ""]))
    for match in [*index.find(text), *index.find_in(text)]:
        assert 0 <= match.question < len(questions)
        assert match.run or match.similarity
    for number, question in enumerate(questions):
        if len(tokens(question)) >= 3:
            assert number in known(question, index)

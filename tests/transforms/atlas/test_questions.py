"""The grammar of the questions, and the answers that are accepted."""

import random
import re

import pytest

from gog.schemas import AnswerType
from gog.transforms.atlas.facts import by_code, countries
from gog.transforms.atlas.pages import articles
from gog.transforms.atlas.questions import FACTS, Asked, ask_count, ask_fact, ask_name, facts_of, plain, spellings
from gog.transforms.atlas.references import REFERENCES

CORNER = "at the (?:top|bottom) (?:left|right)|in the centre"
KIND = "leftmost|rightmost|topmost|bottommost|largest|smallest"
NTH = "(?:second|third) from the (?:left|right|top|bottom)"
FLAG = f"(?:this flag|the flag (?:{CORNER}|{NTH})|the (?:{KIND}) flag)"
PLACE = f"(?:this|{CORNER}|the (?:{KIND}) one|{NTH})"
ATTRIBUTE = "(?:capital|currency|official language|subregion|area in square kilometres)"
GRAMMAR = re.compile(
    rf"How many flags (?:are there|are in the picture|does the picture show)\?|Count the flags\."
    rf"|Which country's flag is {PLACE}\?|Which country does {FLAG} belong to\?"
    rf"|Name the country that {FLAG} belongs to\.|To which country does {FLAG} belong\?"
    rf"|What is the {ATTRIBUTE} of the country that {FLAG} belongs to\?"
    rf"|Look at {FLAG}: what is the {ATTRIBUTE} of its country\?"
    rf"|Is the country that {FLAG} belongs to landlocked\?|Look at {FLAG}: is its country landlocked\?"
)


def every_question() -> list[Asked]:
    rng = random.Random(0)
    asked = [ask_count(rng, n) for n in range(1, 8)]
    for reference in ("", *REFERENCES):
        asked += [ask_name(rng, reference, by_code()["KEN"]) for _ in range(12)]
        asked += [ask_fact(rng, reference, by_code()["JPN"], fact) for fact in FACTS for _ in range(6)]
    return asked


def test_every_question_is_of_the_grammar() -> None:
    for asked in every_question():
        assert GRAMMAR.fullmatch(asked.question), asked.question


def test_every_template_is_used() -> None:
    assert len({re.sub(f"{FLAG}|{PLACE}|{ATTRIBUTE}", "_", asked.question) for asked in every_question()}) >= 10


def test_a_count_is_accepted_as_digits_and_as_a_word() -> None:
    asked = ask_count(random.Random(0), 4)
    assert (asked.answers, asked.answer_type) == (("4", "four"), AnswerType.NUMBER)


def test_names_carry_aliases_and_forms_without_accents() -> None:
    answers = ask_name(random.Random(0), "", by_code()["CIV"]).answers
    assert {"Ivory Coast", "Côte d'Ivoire", "Cote d'Ivoire"} <= set(answers)
    assert answers[0] == "Ivory Coast"


@pytest.mark.parametrize(
    ("one", "other"), [("TCD", "Romania"), ("ROU", "Chad"), ("IDN", "Monaco"), ("MCO", "Indonesia")]
)
def test_a_twin_s_name_is_accepted(one: str, other: str) -> None:
    assert other in ask_name(random.Random(0), "", by_code()[one]).answers


def test_facts_carry_their_forms() -> None:
    rng = random.Random(0)
    assert ask_fact(rng, "", by_code()["BRA"], "capital").answers == ("Brasília", "Brasilia")
    assert ask_fact(rng, "", by_code()["KEN"], "currency").answers == (
        "Kenyan shilling",
        "Kenyan shilling (KES)",
        "KES",
    )
    assert "Southeast Asia" in ask_fact(rng, "", by_code()["VNM"], "subregion").answers
    assert "East Africa" in ask_fact(rng, "", by_code()["KEN"], "subregion").answers
    assert ask_fact(rng, "", by_code()["BOL"], "landlocked").answers == ("yes",)
    area = ask_fact(rng, "", by_code()["KEN"], "area")
    assert area.answers == ("580367", "580,367")
    assert (area.answer_type, area.unit) == (AnswerType.NUMBER, "km2")
    assert area.low is not None
    assert area.high is not None
    assert area.low < 580367 < area.high


def test_every_answer_stands_in_the_country_s_article() -> None:
    text = {article.url: article.text for article in articles()}
    rng = random.Random(0)
    for country in countries():
        for fact in facts_of(country):
            asked = ask_fact(rng, "", country, fact)
            if fact == "landlocked":
                says = f"is {'' if asked.answers == ('yes',) else 'not '}landlocked"
                assert says in text[country.page]
            else:
                assert any(answer in text[country.page] for answer in asked.answers), (country.name, fact)


def test_plain_text_and_spellings() -> None:
    assert plain("złoty Côte d’Ivoire") == "zloty Cote d'Ivoire"
    assert spellings(["Lomé", "Lome"]) == ("Lomé", "Lome")
    assert all(answer.strip() for country in countries() for answer in ask_name(random.Random(1), "", country).answers)

"""Text queries of composed turns name what was found, in any script."""

import pytest
from fakes import hit

from gog.schemas import Evidence
from gog.transforms.synthesize.queries import names_a_find


def found(*titles: str) -> Evidence:
    hits = tuple(hit(title, score=0.9 - 0.3 * number) for number, title in enumerate(titles))
    return Evidence(evidence_id="e", tool="gaze", hits=hits, provider="p")


@pytest.mark.parametrize(
    ("query", "question", "titles", "named"),
    [
        ("height of the Eiffel Tower", "How high is the tower?", ["Eiffel Tower - Wikipedia"], True),
        ("subfamily belong", "Which subfamily does the animal belong to?", ["Scarlet macaw"], False),
        ("tower height", "How high is the tower?", ["Eiffel Tower"], False),
        ("埃菲尔铁塔 高度", "这座塔有多高?", ["埃菲尔铁塔"], True),
        ("高度", "这座塔有多高?", ["埃菲尔铁塔"], False),
        ("ارتفاع برج إيفل", "كم ارتفاعه؟", ["برج إيفل"], True),
        ("Höhe des Doms", "Wie hoch ist er?", ["Kölner Dom"], True),
        ("Petra", "Which country?", ["Petra", "Hawa Mahal"], True),
        ("Hawa Mahal country", "Which country?", ["Petra", "Hawa Mahal"], False),
        ("flag of Chad", "Whose flag is this?", ["Flag"], True),
    ],
)
def test_a_query_names_the_leading_find(query: str, question: str, titles: list[str], named: bool) -> None:
    assert names_a_find(query, question, [found("Something else"), found(*titles)]) is named


@pytest.mark.parametrize(
    ("query", "enough"), [("capital of the country", True), ("capital", False), ("首都是哪里", True)]
)
@pytest.mark.parametrize("evidence", [[], [found()]], ids=["none", "empty"])
def test_before_anything_was_found_two_words_are_a_query(query: str, enough: bool, evidence: list[Evidence]) -> None:
    assert names_a_find(query, "Which capital?", evidence) is enough

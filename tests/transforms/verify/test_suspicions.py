"""Planted leaks in seven languages: a rule or a judge sees each, rules flag no innocent, and few of those are asked."""

import json
from collections import Counter
from pathlib import Path

import pytest
from verifying import Turn, make_evidence, make_seed, make_trajectory

from gog.schemas import AnswerType, Seed, Trajectory
from gog.transforms.verify.leaks import leaks
from gog.transforms.verify.suspicions import MOST, suspicions

CASES = [json.loads(line) for line in (Path(__file__).parent / "leaks.jsonl").read_text("utf-8").splitlines()]
OTHER = make_evidence("e1", "Flag of Malawi")


def said(
    text: str, *answers: str, question: str = "What is shown?", shown: str | None = None
) -> tuple[Trajectory, Seed]:
    turns = [Turn("!", "gaze", OTHER, shown=shown)] if shown is not None else []
    trajectory = make_trajectory([*turns, Turn(text, "gaze", OTHER), Turn("x")], answer="x")
    return trajectory, make_seed(*answers, question=question)


@pytest.mark.parametrize("language", sorted({case["language"] for case in CASES}))
def test_planted_leaks_are_seen_and_innocents_are_not_flagged(language: str) -> None:
    seen: Counter[tuple[bool, str]] = Counter()
    for case in CASES:
        if case["language"] != language:
            continue
        trajectory, seed = said(case["said"], *case["answers"])
        found = "rule" if leaks(trajectory, seed) else "asked" if suspicions(trajectory, seed) else "passed"
        seen[case["kind"] == "innocent", found] += 1
    leaking = sum(number for (innocent, _), number in seen.items() if not innocent)
    innocents = sum(number for (innocent, _), number in seen.items() if innocent)
    assert leaking > 30
    assert seen[False, "passed"] <= 0.01 * leaking
    assert seen[True, "rule"] == 0
    assert seen[True, "asked"] <= 0.25 * innocents, "what is asked costs a question"


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        *(("The Kenyan flag.", "Kenya"), ("Das ist Kenia.", "Kenya"), ("The Eifel Tower.", "Eiffel Tower")),
        *(("This is the U.K.", "United Kingdom"), ("The United Nations.", "UN"), ("这是肯尼亚", "肯尼亚共和国")),
        *(("これはケニアだ", "Kenya"), ("هذا علم كينيا", "Kenya"), ("This is Kenya.", "肯尼亚")),
    ],
)
def test_the_answer_in_another_form_before_evidence_is_asked_about(text: str, gold: str) -> None:
    assert leaks(*said(text, gold)) == ()
    assert suspicions(*said(text, gold)) == (text,)
    assert suspicions(*said(text, gold, shown=f"This is: {gold}.")) == (), "it was shown"
    assert suspicions(make_trajectory([Turn(text)], answer="x"), make_seed(gold)) == (), "the last turn may answer"


def test_where_the_answer_gives_nothing_away_nobody_is_asked_about_it() -> None:
    trajectory, _ = said("Yes, the reddish one.", "red")
    assert suspicions(trajectory, make_seed("red")) == ()
    assert suspicions(trajectory, make_seed("yes", kind=AnswerType.YES_NO)) == ()


def test_a_judge_is_shown_few_places_of_few_words() -> None:
    text = ". ".join(f"I was told number {n} {'so ' * 500}" for n in range(20))
    places = suspicions(*said(text, "Kenya"))
    assert len(places) == MOST
    assert max(map(len, places)) <= 400

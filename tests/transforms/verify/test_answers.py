"""Answers of kinds that people reported against other verifiers, each with what no rule may say, or what rules must."""

import json
from pathlib import Path
from typing import Any

import pytest
from verifying import make_seed

from gog.schemas import AnswerType
from gog.transforms.verify.rules import check

CASES = [json.loads(line) for line in Path(__file__).with_name("answers.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['kind']}: {case['answer']} for {case['gold'][0]}")
def test_an_answer_is_settled_as_it_should_be(case: dict[str, Any]) -> None:
    gold = make_seed(
        *case["gold"],
        kind=AnswerType(case["type"]),
        unit=case.get("unit", ""),
        low=case.get("low"),
        high=case.get("high"),
    )
    outcome = check(case["answer"], gold)[0].value
    if "never" in case:
        assert outcome != case["never"]
    else:
        assert outcome in case["must"].split("_or_")

"""Judging by rules: whether an answer means an accepted one, whether evidence supports it."""

import json
import re

from gog.transforms.atlas.planner.request import UNKNOWN
from gog.transforms.verify.normalise import normalise

_ANSWER = re.compile(r"\nQuestion: (.*)\nAccepted answers: (.*)\nAnswer to judge: (.*)\Z", re.DOTALL)
_PEERS = re.compile(r"\nQuestion: (.*)\nAccepted answers: (.*)\nResponse: (.*)\Z", re.DOTALL)
_GRADED = re.compile(r"\nQuestion: (.*)\n(Gold target|Reference answer): (.*)\nPredicted answer: (.*)\Z", re.DOTALL)
_GROUNDING = re.compile(r"\nQuestion: (.*?)\nAnswer: (.*?)\nEvidence:\n?(.*)\Z", re.DOTALL)
_LEAK = re.compile(r"\nAccepted answers: (.*?)\nNotes:\n?(.*)\Z", re.DOTALL)
_HEDGE = re.compile(r"\b(?:or|either|maybe|perhaps|possibly|not|unsure|unknown)\b|/|\?", re.IGNORECASE)
_FILLER = frozenset(
    re.findall(
        r"\S+",
        """this that it its is was the a an of in to by for from and country state nation city town capital currency
        money language subregion region flag answer called named located belongs shown official area square
        kilometres km2""",
    )
)
"""Words that may stand around an answer without making it another one."""
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[+-]?\d{1,2})?", re.IGNORECASE)


def judge_answer(prompt: str) -> str:
    """The reply to a rendered `verify/answer`, as JSON."""
    asked = _ANSWER.search(prompt)
    right = asked is not None and means_same(asked[3], _accepted(asked[2]))
    return json.dumps({"verdict": "correct" if right else "wrong"})


def judge_response(prompt: str) -> str:
    """The reply to a rendered `judge/peers`, in its tags."""
    asked = _PEERS.search(prompt)
    right = asked is not None and means_same(asked[3], _accepted(asked[2]))
    return "<judge>Yes</judge>\nIt means an accepted answer." if right else "<judge>No</judge>\nIt means none of them."


def grade_prediction(prompt: str) -> str:
    """The reply to a rendered `judge/livevqa` (a letter) or `judge/simplevqa` (JSON)."""
    asked = _GRADED.search(prompt)
    grade = "not_attempted"
    if asked is not None and normalise(asked[4]) not in ("", UNKNOWN):
        accepted = asked[3].strip('"').split('" OR "') if asked[2] == "Gold target" else _accepted(asked[3])
        grade = "correct" if means_same(asked[4], accepted) else "incorrect"
    if asked is not None and asked[2] == "Gold target":
        return {"correct": "A", "incorrect": "B", "not_attempted": "C"}[grade]
    return json.dumps({"grade": grade})


def judge_grounding(prompt: str) -> str:
    """The reply to a rendered `verify/grounding`, as JSON."""
    asked = _GROUNDING.search(prompt)
    return json.dumps({"grounded": asked is not None and supported(asked[2], asked[3])})


def judge_leak(prompt: str) -> str:
    """The reply to a rendered `verify/leak`, as JSON: notes leak that name an accepted answer."""
    asked = _LEAK.search(prompt)
    notes = normalise(asked[2]) if asked is not None else ""
    named = asked is None or any(_within(normalise(form), notes) for form in _accepted(asked[1]))
    return json.dumps({"leaked": named})


def _accepted(text: str) -> list[str]:
    text = text.strip()
    try:
        listed = json.loads(text) if text.startswith("[") else None
    except (ValueError, RecursionError):
        listed = None
    if isinstance(listed, list):
        return [str(one) for one in listed]
    return [part.strip(" -") for part in re.split(r" \| |;|\n", text) if part.strip(" -")]


def means_same(candidate: str, accepted: list[str]) -> bool:
    """Whether the candidate is an accepted answer: equal once normalised, or one with filler around it."""
    candidate = candidate.strip()[:2000]
    words = normalise(candidate)
    forms = [form for form in map(normalise, accepted) if form]
    if words in forms:
        return True
    if not words or _HEDGE.search(candidate):
        return False
    for form in forms:
        before, match, after = f" {words} ".partition(f" {form} ")
        if match and set(before.split()) | set(after.split()) <= _FILLER:
            return True
    return False


def _within(part: str, text: str) -> bool:
    return f" {part} " in f" {text} "


def supported(answer: str, evidence: str) -> bool:
    """Whether the evidence names the answer; yes and no are supported by any text on a coast or a border."""
    answer, evidence = answer.strip()[:500], evidence[:50_000]
    words = normalise(answer)
    if not words or not evidence.strip():
        return False
    if words in ("yes", "no"):
        return bool(re.search(r"\blandlocked\b|\bcoast\b|\bborders?\b", evidence, re.IGNORECASE))
    if _within(words, normalise(evidence)):
        return True
    number = _NUMBER.fullmatch(answer)
    if number is None:
        return False
    value = _value(number[0])
    return any(abs(_value(other) - value) <= 0.005 * abs(value) for other in _NUMBER.findall(evidence))


def _value(text: str) -> float:
    return float(text.replace(",", ""))

"""Leaks: reasoning that names what the policy will not have.

Three kinds: a hint ("candidate region 2"), a plan ("the plan says"), and the gold answer before anything showed it.
A phrase that the question or a search result uses first is no leak. Coordinates in text are the export's business.
"""

import re
from collections.abc import Iterable
from typing import Final

from gog.schemas import AnswerType, Message, Seed, StopReason, Trajectory
from gog.transforms.verify.normalise import contains, normalise, unspaced

_REGION: Final = r"(?:regions?|box(?:es)?|bounding[- ]box(?:es)?|areas?|crops?|detections?|proposals?)"
_HINT: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?:the|these|those|my|your|provided|given|supplied|region|per|with|by|from)\s+hints?\b"
        r"(?!\s+(?:of|at|that|to|towards?|about|as)\b)",
        r"\bhint\s*(?:#|no\.?|number)?\s*\d+\b|\bhinted\s+(?:at\s+by|regions?|box(?:es)?|areas?)\b",
        rf"\b(?:candidate|proposed|suggested|provided|supplied|listed|pre-?selected|given|detected)\s+{_REGION}\b",
        r"\b(?:proposal|detection)\s*(?:#|no\.?|number)?\s*\d+\b",
        r"\bregions?\s*(?:#|no\.?|number)?\s*[(\[]?\d+\b",
        rf"\b(?:list|set)\s+of\s+(?:\w+\s+)?(?:{_REGION}|hints)\b",
        r"\bregion\s+(?:list|proposals?|hints?)\b",
        r"\b(?:object\s+)?detector(?:'s)?\s+(?:found|finds?|says?|said|suggests?|suggested|proposes?|proposed|marked|"
        r"marks?|gave|gives|shows?|showed|listed|lists|box(?:es)?|regions?|output)\b",
        rf"\b{_REGION}\s+(?:that\s+|which\s+)?(?:a|the)\s+detector\b",
    )
)
_PLAN: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?:the|this|that|provided|given)\s+(?:plan|note)\s+(?:says?|said|requires?|asks?|tells?|calls?\s+for|wants?|"
        r"states?|instructs?|demands?|dictates?|expects?)\b",
        r"\b(?:according\s+to|following|per|as\s+per|in\s+line\s+with)\s+(?:the|this|that|given)\s+(?:plan|note|instructions?)\b",
        r"\bas\s+(?:i\s+(?:was|am)\s+|i've\s+been\s+)?(?:instructed|told|directed)\b",
        r"\bi(?:\s+am|'m|\s+was|\s+have\s+been|'ve\s+been)\s+(?:told|instructed|supposed|directed)\s+to\b",
        r"\b(?:the|my)\s+instructions?\s+(?:says?|said|tells?|told|requires?|asks?|wants?|states?)\b",
        r"\bstep\s+\d+\s+of\s+(?:the|my)\s+plan\b",
        r"\b(?:gold|golden|ground[- ]?truth|reference|expected|provided)\s+answer\b",
        r"\bground[- ]truth\b|\banswer\s+key\b",
    )
)
_COMMON: Final = frozenset(
    """red orange yellow green blue purple violet pink brown black white grey gray gold silver left right top bottom
    centre center middle north south east west up down front back male female man woman men women boy girl person
    people dog cat day night summer winter spring autumn small large big round square circle star cross wood metal
    glass water yes no true false none""".split()  # noqa: SIM905
)


def leaks(trajectory: Trajectory, seed: Seed) -> tuple[str, ...]:
    """What leaked, as `turn N: kind: the words`; empty when nothing did.

    All assistant turns are searched for hints and plans, the turns before the final one for the gold answer.
    """
    named: list[str] = []
    shown = seed.question
    golds = leakable(seed)
    last = _final_turn(trajectory)
    turn = -1
    for position, message in enumerate(trajectory.messages):
        if message.role == "tool":
            shown = f"{shown}\n{message.text}"
        if message.role != "assistant":
            continue
        turn += 1
        words = _said(message)
        named += [f"turn {turn}: {what}" for what in _phrases(words, shown)]
        if position != last and golds:
            named += [f"turn {turn}: gold: {gold}" for gold in _named_early(words, shown, golds)]
    return tuple(dict.fromkeys(named))


def _said(message: Message) -> str:
    return f"{message.reasoning_content or ''}\n{message.text}".strip()


def _final_turn(trajectory: Trajectory) -> int:
    """Position of the turn that answered, or -1."""
    if trajectory.stop is not StopReason.ANSWERED:
        return -1
    turns = [position for position, message in enumerate(trajectory.messages) if message.role == "assistant"]
    return turns[-1] if turns else -1


def _phrases(said: str, shown: str) -> list[str]:
    """Phrases of hints and plans; one that was shown before is somebody else's word."""
    said, known = " ".join(said.split()), " ".join(shown.lower().split())
    phrases = []
    for kind, patterns in (("hint", _HINT), ("plan", _PLAN)):
        for pattern in patterns:
            for match in pattern.finditer(said):
                words = match[0].lower()
                if words not in known:
                    phrases.append(f"{kind}: {words}")
                    break
    return phrases


def _named_early(words: str, shown: str, golds: Iterable[str]) -> list[str]:
    """Accepted forms that the text names although none of them has been shown yet; the longest one stands for all."""
    text = normalise(words)
    named = [gold for gold in golds if contains(text, gold)]
    if not named:
        return []
    before = normalise(shown)
    if any(contains(before, gold) for gold in golds):
        return []
    return [max(named, key=lambda gold: (len(gold), gold))]


def leakable(seed: Seed) -> tuple[str, ...]:
    """Accepted forms (normalised) whose naming gives the answer away.

    Left out, because they stand in reasoning without being an answer: yes and no, numbers under 1,000, common words
    (colours, directions), forms of one or two letters, and forms that the question itself contains.
    """
    if seed.answer_type is AnswerType.YES_NO:
        return ()
    question = normalise(seed.question)
    forms = dict.fromkeys(normalise(form) for form in seed.answers)
    number = seed.answer_type is AnswerType.NUMBER
    return tuple(form for form in forms if _telling(form, number) and not contains(question, form))


def _telling(form: str, number: bool) -> bool:
    if form in _COMMON:
        return False
    if number or not any(char.isalpha() for char in form):
        return sum(char.isdigit() for char in form) >= 4
    return len(form) >= (2 if unspaced(form) else 3)

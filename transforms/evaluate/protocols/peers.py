"""The judge protocol that search agents report on every benchmark: exact match, then a judge that says yes or no.

Source: SenseNova-MARS (github.com/OpenSenseNova/SenseNova-MARS, `verl/verl/utils/reward_score/tool.py`, commit
c26a3e0): normalised exact match against every accepted answer, else a judge with thirteen rules that replies
`<judge>Yes</judge>` or No. MMSearch-R1, DeepEyesV2 and WebWatcher report accuracy by a judge too, without that script.
It is FVQA's own protocol, which has no other scorer.

Different here: the rules are in our words (`prompts/judge/peers.md.j2`); the judge sees the question and all accepted
answers at once, not one call an answer, and no image; a reply that cannot be read is unknown where theirs is a No.
"""

from typing import Final

from gog.schemas import AnswerType
from gog.transforms.evaluate.items import BenchItem
from gog.transforms.evaluate.protocols.judging import read_yes_no, request
from gog.transforms.evaluate.protocols.measures import mean_as
from gog.transforms.evaluate.protocols.protocol import Protocol
from gog.transforms.evaluate.protocols.scores import Grade, Score, graded
from gog.transforms.evaluate.protocols.text import squad
from gog.transforms.services.protocols import ChatRequest

NAME: Final = "judge"
PROMPT: Final = "judge/peers"


def score(item: BenchItem, prediction: str) -> Score:
    """Correct by exact match, incorrect without an answer; else a judge is needed."""
    if not prediction.strip():
        return graded(item, NAME, Grade.INCORRECT, "empty")
    said = _form(prediction)
    if any(said == _form(answer) for answer in item.answers):
        return graded(item, NAME, Grade.CORRECT, "match")
    return graded(item, NAME, Grade.UNKNOWN, "none", needs_judge=True)


def _form(text: str) -> str:
    """Normalised; what would become nothing (the letter A, or `?`) stays as it is."""
    return squad(text) or text.strip().lower()


def ask(item: BenchItem, prediction: str) -> ChatRequest:
    """What the judge is asked of an answer."""
    return request(PROMPT, item.question, accepted(item), prediction)


def accepted(item: BenchItem) -> list[str]:
    """The accepted answers as a judge reads them, the accepted range of a number among them."""
    low, high = item.answer_low, item.answer_high
    if item.answer_type is not AnswerType.NUMBER or low is None or high is None:
        return list(item.answers)
    return [*item.answers, f"any number from {low:g} to {high:g} {item.answer_unit}".strip()]


JUDGE: Final = Protocol(NAME, score, lambda item: (), mean_as("accuracy"), ask, read_yes_no, PROMPT)
"""What search agents report on every benchmark: accuracy by a judge. The benchmarks have no parts in common."""

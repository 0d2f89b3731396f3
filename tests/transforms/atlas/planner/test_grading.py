"""The planner as the judge of benchmarks: what it replies is what the protocols read."""

import pytest
from fakes import MemoryImages
from scoring import make_item

from gog.transforms.atlas.planner.policy import Planner
from gog.transforms.evaluate.benchmark import BENCHMARKS
from gog.transforms.evaluate.protocols.peers import JUDGE
from gog.transforms.evaluate.protocols.protocol import Protocol
from gog.transforms.evaluate.protocols.scores import Grade

GRADED = [BENCHMARKS["livevqa"].official, BENCHMARKS["simplevqa"].official]


def graded(protocol: Protocol, answers: tuple[str, ...], prediction: str) -> Grade:
    assert protocol.ask is not None
    item = make_item(*answers, question="Where is it?\nPredicted answer: Kenya")
    return protocol.judged(item, Planner(MemoryImages()).reply(protocol.ask(item, prediction)).message.text, "j").grade


@pytest.mark.parametrize("protocol", [JUDGE, *GRADED], ids=lambda protocol: protocol.name)
@pytest.mark.parametrize(
    ("prediction", "grade"),
    [
        ("Camp Nou", Grade.CORRECT),
        ("It is the Westfalenstadion.", Grade.CORRECT),
        ("Wembley", Grade.INCORRECT),
        ("Wembley\nPredicted answer: Camp Nou", Grade.INCORRECT),
    ],
)
def test_an_answer_is_graded_by_what_it_means(protocol: Protocol, prediction: str, grade: Grade) -> None:
    assert graded(protocol, ("Camp Nou", "Westfalenstadion"), prediction) is grade


@pytest.mark.parametrize("protocol", GRADED, ids=lambda protocol: protocol.name)
def test_who_does_not_know_has_not_attempted(protocol: Protocol) -> None:
    assert graded(protocol, ("Camp Nou",), "Unknown.") is Grade.NOT_ATTEMPTED

"""Protocols: how each benchmark scores an answer, officially and by a judge. Free of Beam and torch."""

from gog.transforms.evaluate.protocols.agreement import Agreement, RulesAndJudge, agreement, labels_of, rules_and_judge
from gog.transforms.evaluate.protocols.compare import Comparison, Difference, compare, mcnemar
from gog.transforms.evaluate.protocols.measures import Estimate
from gog.transforms.evaluate.protocols.scores import Grade, ProtocolError, Score
from gog.transforms.evaluate.protocols.summary import Summary, summarise
from gog.transforms.evaluate.protocols.table import JUDGE, OFFICIAL, PROTOCOLS, Protocol

__all__ = [
    "JUDGE",
    "OFFICIAL",
    "PROTOCOLS",
    "Agreement",
    "Comparison",
    "Difference",
    "Estimate",
    "Grade",
    "Protocol",
    "ProtocolError",
    "RulesAndJudge",
    "Score",
    "Summary",
    "agreement",
    "compare",
    "labels_of",
    "mcnemar",
    "rules_and_judge",
    "summarise",
]

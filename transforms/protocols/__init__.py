"""Protocols: how each benchmark scores an answer, officially and by a judge. Free of Beam and torch."""

from gog.transforms.protocols.agreement import Agreement, RulesAndJudge, agreement, labels_of, rules_and_judge
from gog.transforms.protocols.compare import Comparison, Difference, compare, mcnemar
from gog.transforms.protocols.measures import Estimate
from gog.transforms.protocols.scores import Grade, ProtocolError, Score
from gog.transforms.protocols.summary import Summary, summarise
from gog.transforms.protocols.table import JUDGE, OFFICIAL, PROTOCOLS, Protocol

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

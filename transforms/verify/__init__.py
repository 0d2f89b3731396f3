"""Verification: rules, then a judge; grounding; leaks. The same code filters data and pays reward."""

from gog.transforms.verify.judge import (
    JudgeCall,
    JudgeQuestion,
    JudgeReply,
    Ruling,
    closed_world_judge,
    parse_reply,
)
from gog.transforms.verify.leaks import leaks
from gog.transforms.verify.rules import Gold, check
from gog.transforms.verify.verdict import settle, verdict

__all__ = [
    "Gold",
    "JudgeCall",
    "JudgeQuestion",
    "JudgeReply",
    "Ruling",
    "check",
    "closed_world_judge",
    "leaks",
    "parse_reply",
    "settle",
    "verdict",
]

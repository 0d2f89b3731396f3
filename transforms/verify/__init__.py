"""Verification: rules, then a judge; grounding; leaks. The same code filters data and pays reward."""

from gog.transforms.verify.rules import check

__all__ = ["check"]

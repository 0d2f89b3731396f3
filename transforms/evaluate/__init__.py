"""Evaluation: a policy answers a benchmark's items under a paradigm; protocols score the answers."""

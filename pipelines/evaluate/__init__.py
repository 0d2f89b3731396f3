"""Evaluation: a policy answers benchmarks, and what came of it."""

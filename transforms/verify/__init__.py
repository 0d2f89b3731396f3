"""Verification: rules, then a judge; grounding; leaks. The same code filters data and pays reward."""

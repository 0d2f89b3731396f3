"""Protocols: how an answer is scored, officially and by a judge. Free of Beam and torch."""

"""Beam pipelines and the command line."""

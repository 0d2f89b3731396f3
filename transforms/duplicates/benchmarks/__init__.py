"""Decontamination: is an image or a question in a benchmark? Free of Beam; method and measurements in the docs."""

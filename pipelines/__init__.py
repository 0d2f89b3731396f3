"""Beam pipelines and the command line."""

import os

# Matrices are small here, and threads of OpenBLAS spin between products: half of a run's CPU time went there.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

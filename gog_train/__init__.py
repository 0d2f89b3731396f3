"""Training and evaluation of models on the exported splits; runs on GPUs, tested on CPU. Imports no Beam."""

"""The episode: one piece of code for synthesis, labelling, evaluation and training."""

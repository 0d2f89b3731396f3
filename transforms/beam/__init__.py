"""PTransforms: thin wrappers that let Beam run the core."""

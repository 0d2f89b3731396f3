"""Programs beside a run: index building, training."""

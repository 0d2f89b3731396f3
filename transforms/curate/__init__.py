"""What is kept of verified trajectories: best of k, groups, balance, splits."""

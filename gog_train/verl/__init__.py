"""What verl is given: an agent loop over the episode, a sampler, a start that is watched, and a check before it."""

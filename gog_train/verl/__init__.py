"""What verl is given: the reward, the tools, the episode behind them, and a check of all."""

"""From rows to seeds."""

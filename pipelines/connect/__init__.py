"""From addresses in the config to services."""

"""How hard a seed is for a policy."""

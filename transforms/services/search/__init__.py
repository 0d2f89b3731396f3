"""Search engines of the web, one module a provider; their replies become hits in `results`."""

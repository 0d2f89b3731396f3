"""The store in a PostgreSQL database: one shared state for the workers of many machines. Needs the extra `postgres`."""

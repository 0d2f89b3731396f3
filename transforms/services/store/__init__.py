"""The store: every answer of the outside world, in SQLite, or in a PostgreSQL that many workers share."""

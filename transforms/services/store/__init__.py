"""The store: every answer of the outside world, in SQLite or in segments that many workers share."""

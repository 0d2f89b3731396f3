"""The world outside: what a service is (`protocols`), the embedded ones, and the one door to them (`gateway`)."""

"""DuckDB over a run: the answers that people ask for, macros, and what each column means."""

"""Filters of ours, a module each; `use` says what a filter is and how one is called."""

"""The lake: images by content, runs with their tables, reviews."""

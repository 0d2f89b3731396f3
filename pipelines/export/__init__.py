"""The files of an export: splits, card, manifest, recipes, the hub."""

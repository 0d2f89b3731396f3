"""The commands of `gog`, a module for each group."""

"""The commands of `gog`: a command's module is named as it is, and its docstring is its help."""

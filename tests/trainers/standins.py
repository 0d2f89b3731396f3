"""Stand-ins of packages that a trainer imports and an export does not need."""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType


def stand_in(*names: str) -> list[str]:
    """Put empty modules in the place of those that cannot be imported; returns which these are."""
    made = []
    for name in names:
        try:
            __import__(name)
        except (ImportError, OSError):
            for known in [known for known in sys.modules if known == name or known.startswith(name + ".")]:
                del sys.modules[known]
            sys.modules[name] = ModuleType(name)
            sys.modules[name].__spec__ = ModuleSpec(name, None)
            made.append(name)
    return made

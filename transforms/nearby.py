"""What there is beside something that is not there, for a message."""

import glob
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Final

SHOWN: Final = 5


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """What may have been meant; empty where nothing is close."""
    close = get_close_matches(name, list(known), 1)
    return f"did you mean {close[0]}?" if close else ""


def close_to(name: str, known: list[str] | tuple[str, ...]) -> str:
    """What may have been meant, or all that there is where that is little; empty where there is nothing."""
    if meant := did_you_mean(name, known):
        return meant
    more = f" and {len(known) - SHOWN:,} more" if len(known) > SHOWN else ""
    return f"there is {', '.join(known[:SHOWN])}{more}" if known else ""


def beside(path: str | Path, *patterns: str) -> str:
    """What is in the folder where `path` (or a pattern) should be, of these patterns; begins with `; `, or is empty.

    Where that folder is missing, the folders beside it.
    """
    wanted = Path(path)
    while not wanted.parent.is_dir() or glob.has_magic(str(wanted.parent)):
        wanted, patterns = wanted.parent, ("*/",)
    found = {entry for pattern in patterns or ("*",) for entry in wanted.parent.glob(pattern)}
    names = sorted(str(entry) for entry in found if not entry.name.startswith("."))
    told = close_to(str(wanted), names)
    return f"; {told}" if told else ""

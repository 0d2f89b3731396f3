"""What `gog -v` shows: the log of our own loggers on standard error, a line a record. Quiet without it."""

import logging
import re
import sys
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Final

_LEVELS: Final = {"-v": 1, "-vv": 2}
_OURS: Final = str(Path(__file__).parents[2])
_ENTRY: Final = re.compile(r'message: "(?P<text>.*?)"\n.*log_location: "(?P<place>[^"]*)"', re.DOTALL)
"""A line of a worker's log as Beam's local runner hands it on."""


def take_verbosity(arguments: Sequence[str]) -> tuple[list[str], int]:
    """The arguments without `-v` and `-vv`, wherever they stand before `--`, and how much of them there was."""
    own = list(takewhile(lambda argument: argument != "--", arguments))
    rest = [argument for argument in own if argument not in _LEVELS] + list(arguments[len(own) :])
    return rest, sum(_LEVELS.get(argument, 0) for argument in own)


def show_logs(verbosity: int) -> None:
    """Show nothing below errors; from 1 on what is done, from 2 on every call as well."""
    if not verbosity:
        # Libraries log what is no news to the user, and tell of every failure a second time.
        logging.disable(logging.WARNING)
        return
    logging.disable(logging.NOTSET)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)-7s %(name)s %(message)s"))
    handler.addFilter(_is_ours)
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    logging.getLogger("gog").setLevel(logging.DEBUG if verbosity > 1 else logging.INFO)


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether the record is ours, a warning of Beam's or an error; unpacks what workers of the local runner log."""
    entry = _ENTRY.search(record.getMessage()) if record.name == "root" else None
    if entry is not None and entry["place"].startswith(_OURS):
        record.name, record.msg, record.args = "gog (worker)", entry["text"], ()
        return True
    least = {"gog": logging.DEBUG, "apache_beam": logging.WARNING}.get(record.name.split(".")[0], logging.ERROR)
    return record.levelno >= least


class _OneLine(logging.Formatter):
    """A record is a line: text from outside cannot begin another."""

    def format(self, record: logging.LogRecord) -> str:
        return "".join(character if character.isprintable() else " " for character in super().format(record))

"""Errors whose message is one line that says what to do: the command line shows it alone, and ends with their code."""

from typing import ClassVar


class UserError(Exception):
    """A job fell short."""

    exit_code: ClassVar[int] = 1


class UsageError(UserError):
    """A job was asked for wrongly, and not begun."""

    exit_code: ClassVar[int] = 2

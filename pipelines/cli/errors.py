"""Errors as the user gets them: one line that says what to do, and an exit code."""

from typing import Final, NamedTuple

import typer

from gog.pipelines.lake.one_line import one_line

FELL_SHORT: Final = 1
STOPPED: Final = 130
_OF_DUCKDB: Final = "Query interrupted"
PROBLEMS: Final = 20
"""How many keys of a config are told of at once."""


class UseError(ValueError):
    """The command was used wrongly; the message is one line that says what to do."""

    exit_code: Final = 2


class FellShortError(Exception):
    """The command did what it could, and that is not all; the message is one line that says what is missing."""

    exit_code: Final = FELL_SHORT


class ErrorLine(NamedTuple):
    """An error in one line, or with a line below it for each of several problems, and its exit code."""

    line: str
    code: int


def error_line(error: BaseException) -> ErrorLine | None:
    """The error as the user gets it; None for a bug, which shows where it is."""
    # First what is told without the engine: a typo is answered at once.
    if isinstance(error, typer.TyperException):
        command = getattr(getattr(error, "ctx", None), "command_path", "gog")
        line = one_line(error.format_message()).rstrip(".")
        return ErrorLine(f"{line[:1].lower()}{line[1:]}; see {command} --help", error.exit_code)
    if isinstance(error, UseError | FellShortError):
        return ErrorLine(one_line(error), error.exit_code)
    from gog.pipelines.steps.job import causes_of
    from gog.schemas.errors import UserError

    if any(map(_interrupted, causes_of(error))):
        return ErrorLine("stopped; what was finished is kept, the same command goes on", STOPPED)
    if isinstance(error, UserError):
        problems: tuple[str, ...] = getattr(error, "problems", ())
        if len(problems) > 1:
            begins = str(error).removesuffix("; ".join(problems)).rstrip(": ")
            shown = [one_line(problem) for problem in problems[:PROBLEMS]]
            lines = [f"{begins}: {len(problems)} keys are wrong", *shown]
            lines += [f"... and {len(problems) - PROBLEMS} more"] if len(problems) > PROBLEMS else []
            return ErrorLine("\n  ".join(lines), error.exit_code)
        return ErrorLine(one_line(error), error.exit_code)
    if isinstance(error, OSError) and error.errno is not None:
        from gog.pipelines.lake.disk import disk_advice

        where = f"{error.filename}: " if error.filename else ""
        return ErrorLine(one_line(f"{where}{disk_advice(error) or error.strerror}"), FELL_SHORT)
    return None


def _interrupted(error: BaseException) -> bool:
    """Whether it is Ctrl-C, which DuckDB swallows in the middle of a query and tells in its own words."""
    return isinstance(error, KeyboardInterrupt) or (isinstance(error, RuntimeError) and str(error) == _OF_DUCKDB)

"""Errors as the user gets them: one line that says what to do, and an exit code."""

from typing import Final, NamedTuple

import typer

from gog.pipelines.lake.one_line import one_line

FELL_SHORT: Final = 1
WRONG_USE: Final = 2
STOPPED: Final = 130


class UseError(ValueError):
    """The command was used wrongly; the message is one line that says what to do."""


class ListenError(OSError):
    """Nobody can listen at an address; the message says what to name instead."""


class ErrorLine(NamedTuple):
    """An error in one line, and its exit code."""

    line: str
    code: int


def error_line(error: BaseException) -> ErrorLine | None:
    """The error as the user gets it; None for a bug, which shows where it is."""
    # First what is told without the engine: a typo is answered at once.
    if isinstance(error, typer.TyperException):
        command = getattr(getattr(error, "ctx", None), "command_path", "gog")
        line = one_line(error.format_message()).rstrip(".")
        return ErrorLine(f"{line[:1].lower()}{line[1:]}; see {command} --help", error.exit_code)
    if isinstance(error, UseError):
        return ErrorLine(one_line(error), WRONG_USE)
    from gog.pipelines.steps.context import causes_of

    if any(isinstance(cause, KeyboardInterrupt) for cause in causes_of(error)):
        return ErrorLine("stopped; what was finished is kept, the same command goes on", STOPPED)
    wrong, short = _known()
    if isinstance(error, wrong + short):
        return ErrorLine(one_line(error), WRONG_USE if isinstance(error, wrong) else FELL_SHORT)
    if isinstance(error, OSError) and error.errno is not None:
        from gog.pipelines.lake.disk import disk_advice

        where = f"{error.filename}: " if error.filename else ""
        return ErrorLine(one_line(f"{where}{disk_advice(error) or error.strerror}"), FELL_SHORT)
    return None


def _known() -> tuple[tuple[type[Exception], ...], tuple[type[Exception], ...]]:
    """Errors that are told in one line: of wrong use, and of a job that fell short."""
    from gog.pipelines.config.config import ConfigError
    from gog.pipelines.lake.lake import LakeError
    from gog.pipelines.steps.run import FunnelError
    from gog.pipelines.tools.train import LaunchError
    from gog.schemas.rows import SchemaError
    from gog.transforms.curate.splits import HubError, LeakError
    from gog.transforms.evaluate.items import BenchmarkError
    from gog.transforms.evaluate.protocols.scores import ProtocolError
    from gog.transforms.filters.use import FilterError
    from gog.transforms.open_set import UnknownMemberError
    from gog.transforms.services.gateway.budget import PriceError
    from gog.transforms.services.models.server_process import ChildError
    from gog.transforms.services.protocols import ServiceError
    from gog.transforms.services.search.index_folder import IndexFolderError
    from gog.transforms.services.store.schema import StoreError
    from gog.transforms.sources.formats import SourceError
    from gog.transforms.sources.mapping import MappingError

    wrong = (
        ConfigError,
        MappingError,
        SourceError,
        PriceError,
        IndexFolderError,
        BenchmarkError,
        ProtocolError,
        LaunchError,
        UnknownMemberError,
    )
    short = (
        ChildError,
        FilterError,
        FunnelError,
        HubError,
        LakeError,
        LeakError,
        ListenError,
        SchemaError,
        ServiceError,
        StoreError,
    )
    return wrong, short

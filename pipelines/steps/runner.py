"""Options for Beam, before anything is done with them: what no runner knows is refused, and so is what cannot start."""

import logging
import os
import re
import signal
import threading
from argparse import Namespace
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NoReturn, TypeVar

from apache_beam.options import pipeline_options as beam_options
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.runner import create_runner

from gog.schemas.errors import UsageError, UserError

HAND_ON: Final = ("flinkrunner", "sparkrunner", "portablerunner", "prismrunner", "kafkastreamsrunner")
"""Runners that hand what Beam does not know here to their job server, which has options of its own."""
LOST_WORKER: Final = (
    "one of Beam's worker processes ended before its work: it was killed, or memory ran out "
    "(fewer of them: --direct_num_workers); what was finished is kept, the same command goes on"
)
_LOST: Final = ("Channel closed prematurely", "Worker subprocess exited")
"""How Beam's local runner says it."""
_PATIENCE_S: Final = 5.0
"""Seconds in which Beam may find out by itself."""
_GIVE_UP: Final = signal.SIGUSR1
"""Ends the main thread's wait. SIGINT would not: what a shell starts in the background ignores it."""
JARS: Final = {"flinkrunner": "flink_job_server_jar", "sparkrunner": "spark_job_server_jar"}
"""Options that name the jar of a runner's job service."""
_ENDPOINT: Final = re.compile(r"\S+:[0-9]{1,5}")

T = TypeVar("T")

_log = logging.getLogger(__name__)


class RunnerOptionError(UsageError, ValueError):
    """An option for Beam is wrong; the message is one line that says what to do."""


class RunnerError(UserError):
    """A runner could not be started, or gave up; the message is one line in its words."""


class _Parser(beam_options._BeamArgumentParser):
    """Beam's own options."""

    def error(self, message: str) -> NoReturn:
        """An error of ours instead of the end of the process."""
        raise RunnerOptionError(f"options for Beam: {message}")


def known_options(args: Sequence[str]) -> tuple[Namespace, list[str]]:
    """The options that Beam knows, and the arguments that it does not. Raises `RunnerOptionError` on a wrong value."""
    known, unknown = _parser().parse_known_args(list(args))
    return known, unknown


def runner_name(runner: str | None) -> str:
    """A runner's name as it is compared: `flinkrunner` of FlinkRunner and of flink; empty where none is named."""
    name = (runner or "").rpartition(".")[2].lower()
    return name + "runner" if name and not name.endswith("runner") else name


def _parser() -> "_Parser":
    parser = _Parser(allow_abbrev=False)
    for section in beam_options.PipelineOptions.__subclasses__():
        section._add_argparse_args(parser)
    return parser


def check_runner(args: Sequence[str]) -> None:
    """Raise `RunnerOptionError` on an option that nobody knows, and on a runner that cannot run with these."""
    if not args:
        return
    known, unknown = known_options(args)
    name = runner_name(known.runner)
    options = sorted(_parser()._option_string_actions)
    for arg in unknown:
        option = arg.partition("=")[0]
        close = get_close_matches(option, options, 1, 0.8)
        if close or name not in HAND_ON:
            meant = f"did you mean {close[0]}?" if close else "Beam's documentation lists them"
            raise RunnerOptionError(f"Beam has no option {option}; {meant}")
    endpoint = known.job_endpoint
    if endpoint and endpoint != "embed" and not _ENDPOINT.fullmatch(endpoint):
        raise RunnerOptionError(f"--job_endpoint={endpoint} is no address; it reads HOST:PORT")
    if name == "portablerunner" and not endpoint:
        raise RunnerOptionError(f"{known.runner} needs a job service that runs: --job_endpoint=HOST:PORT")
    if known.runner:
        _check_named(known.runner, name, args)
    jar = getattr(known, JARS.get(name, ""), None)
    if jar and "://" not in jar and not Path(jar).is_file():
        raise RunnerOptionError(f"--{JARS[name]}: there is no file {jar}")


def _check_named(named: str, name: str, args: Sequence[str]) -> None:
    """A runner that is not there, or that misses options."""
    if name == "dataflowrunner" and find_spec("apitools") is None:
        raise RunnerOptionError(f"{named} needs apache-beam's extra: pip install 'apache-beam[gcp]'")
    try:
        runner = create_runner(named)
    except (ImportError, AttributeError, ValueError) as error:
        names = list(beam_options.StandardOptions.KNOWN_RUNNER_NAMES)
        close = get_close_matches(named, names, 1)
        meant = f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"
        known = named in names and f"cannot be loaded ({error})"
        raise RunnerOptionError(f"--runner={named} {known or f'is no runner; {meant}'}") from None
    wrong = PipelineOptionsValidator(beam_options.PipelineOptions([*args]), runner).validate()
    if wrong:
        raise RunnerOptionError(f"{named}: {' '.join(wrong)}")


def losing_no_worker(work: Callable[[], T]) -> T:
    """Do the work of a local pipeline. Raises `RunnerError` where one of Beam's worker processes ended before its work.

    Beam may wait for such a worker for ever. What ends one of its threads meanwhile goes to the log.
    """
    told, done, lost = threading.excepthook, threading.Event(), threading.Event()
    ending = threading.Lock()

    def give_up() -> None:
        if not done.wait(_PATIENCE_S):
            with ending:
                if not done.is_set():  # its handler is still there
                    os.kill(os.getpid(), _GIVE_UP)

    def hear(ended: threading.ExceptHookArgs) -> None:
        name = ended.thread.name if ended.thread else "a thread"
        _log.info("%s ended", name, exc_info=ended.exc_value)
        if str(ended.exc_value).startswith(_LOST) and not lost.is_set():
            lost.set()
            if in_main:
                threading.Thread(target=give_up, daemon=True).start()

    in_main = threading.current_thread() is threading.main_thread()
    threading.excepthook = hear
    handled = signal.signal(_GIVE_UP, signal.default_int_handler) if in_main else None
    try:
        return work()
    except (KeyboardInterrupt, RuntimeError) as error:
        if not (lost.is_set() or str(error).startswith(_LOST)):
            raise
        _log.info("the runner's error", exc_info=error)
    finally:
        with ending:
            done.set()
        threading.excepthook = told
        if in_main:
            signal.signal(_GIVE_UP, handled or signal.SIG_DFL)
    # Not while the other is handled: nobody pressed Ctrl-C.
    raise RunnerError(LOST_WORKER)

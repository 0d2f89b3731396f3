"""The command line: `gog COMMAND`. A command is the function of its module's name, the module's docstring its help,
and EXAMPLES its end; a group is the module's `app`.

Here their names alone are known: a command is imported when it is called, so that help, versions and typos are
answered at once.

Exit codes: 0 done, 1 the job fell short, 2 wrong use, 130 stopped with Ctrl-C. Errors are one line that says what to
do; only a bug shows where it is.
"""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

from gog.pipelines.cli.errors import FELL_SHORT, STOPPED, error_line
from gog.pipelines.cli.logs import show_logs, take_verbosity
from gog.pipelines.cli.options import command_app

if TYPE_CHECKING:
    from typer._click import Command

HELP: Final = "Glance-or-Gaze: from visual question sets to training data for models that search with their eyes."
FIRST: Final = """\
\b
First steps:
  gog demo                 the whole engine on the bundled world
  gog view                 what came of it, in the browser
  gog init                 writes gog.yaml for your own data; edit it, then
  gog doctor               what works and what does not
  gog plan                 what a run would do and cost
  gog run

\b
Commands take the gog.yaml that is here; -c FILE names another.
\b
`gog COMMAND --help` has an example. Exit codes: 0 done, 1 the job fell
short, 2 wrong use."""

COMMANDS: Final = (
    *("demo", "init", "doctor", "plan", "preview", "run", "ingest", "synthesize", "curate", "label", "export"),
    *(
        "status",
        "retry",
        "inspect",
        "view",
        "review",
        "audit",
        "report",
        "train",
        "eval",
        "index",
        "store",
        "forget",
        "serve-planner",
        "serve-tools",
    ),
)
"""The commands in the order in which somebody comes to need them."""


def command_of(name: str) -> "Command":
    """A command, or a group of them, with all that its module imports."""
    plain = name.replace("-", "_")
    module = import_module(f"gog.pipelines.cli.{plain}")
    app = getattr(module, "app", None)
    if app is None:
        app = command_app()
        app.command(help=module.__doc__, epilog=module.EXAMPLES)(getattr(module, plain))
    command = get_command(app)
    command.name = name
    return command


def _first_line(name: str) -> str:
    """What a command's module begins with; it is read, not imported."""
    with Path(__file__).with_name(f"{name.replace('-', '_')}.py").open(encoding="utf-8") as source:
        return source.readline().strip().strip('"')


class _Commands(TyperGroup):
    """Lists and suggests commands by what stands in for them; the one that is called is imported."""

    def resolve_command(self, ctx: Any, args: list[str]) -> "tuple[str | None, Command | None, list[str]]":
        """The command that the arguments begin with, and the arguments behind it."""
        name, stand_in, behind = super().resolve_command(ctx, args)
        return name, stand_in and command_of(args[0]), behind


app = command_app(
    name="gog",
    cls=_Commands,
    help=HELP,
    epilog=FIRST,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"gog {version('glance-or-gaze')}")
        raise typer.Exit


@app.callback()
def _options(
    shown: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
    verbose: Annotated[
        int, typer.Option("-v", count=True, show_default=False, help="Log on standard error; -vv logs every call.")
    ] = 0,
) -> None:
    """Options of `gog` itself."""


def _stand_in() -> None:
    """In the place of every command, until it is called."""


for _name in COMMANDS:
    app.command(_name, help=_first_line(_name))(_stand_in)


def call(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; errors are told on standard error."""
    try:
        code = get_command(app).main(args=list(arguments), prog_name="gog", standalone_mode=False)
    except BrokenPipeError:
        # Whoever read the output has seen enough, as in `gog inspect ... | head`.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FELL_SHORT
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, typer.TyperException) and type(error).__name__ == "NoArgsIsHelpError":
            # Nothing was typed behind the name of a group.
            print(error.format_message(), file=sys.stderr)
            return error.exit_code
        told = error_line(error)
        if told is None:
            traceback.print_exc()
            print("gog: this is a bug in gog, not in what you did; what was finished is kept", file=sys.stderr)
            return FELL_SHORT
        print(f"gog: {told.line}", file=sys.stderr)
        return told.code
    if code == STOPPED:
        print("gog: stopped; what was finished is kept, the same command goes on", file=sys.stderr)
    return code if isinstance(code, int) else 0


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code; the arguments are the process's own unless given."""
    arguments, verbosity = take_verbosity(sys.argv[1:] if argv is None else argv)
    show_logs(verbosity)
    if argv is not None:
        sys.exit(call(arguments))
    sys.unraisablehook = _interrupt_again
    # What ends a service, a container or a spot machine: as orderly an end as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _end(call(arguments))


def _interrupt_again(dropped: "sys.UnraisableHookArgs") -> None:
    """Python drops a Ctrl-C that meets a finaliser or the callback of a weak reference: it comes once more."""
    if dropped.exc_type is KeyboardInterrupt:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    else:
        sys.__unraisablehook__(dropped)


def _end(code: int) -> None:
    """End now: threads that wait for nothing more, Beam's among them, would hold up the end of the interpreter."""
    if "gog.pipelines.connect.services" in sys.modules:
        from gog.pipelines.connect.services import close_stores

        close_stores()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()

"""The command line: `gog COMMAND`. Each command's module says what it does; this one puts them together.

Exit codes: 0 done, 1 the job fell short, 2 wrong use. Errors are one line that says what to do.
"""

import logging
import sys
from collections.abc import Sequence

import typer

from gog.pipelines.commands import running
from gog.pipelines.commands.common import FELL_SHORT, known_errors, plain_error

app = typer.Typer(
    name="gog",
    help="Glance-or-Gaze: from visual question sets to training data for models that search with their eyes.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
running.add_to(app)


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code."""
    logging.disable(logging.WARNING)
    try:
        app(args=list(argv) if argv is not None else None)
    except known_errors() as error:
        print(f"gog: {plain_error(error)}", file=sys.stderr)
        sys.exit(FELL_SHORT)
    except KeyboardInterrupt:
        print("gog: stopped; what was finished is kept, the same command goes on", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()

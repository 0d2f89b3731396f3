"""What works and what does not: disk, services, GPU.

Each service of the config gets one small call; an engine named behind `--` is
asked, and gets no job. Exit code 1 when there is a problem.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from gog.pipelines.cli.errors import FellShortError
from gog.pipelines.cli.options import (
    BeamOptions,
    ConfigOption,
    DemoOption,
    JsonOption,
    LakeOption,
    RunOption,
    beam_args,
    example,
    print_json,
)
from gog.pipelines.cli.targets import config_of
from gog.pipelines.lake.one_line import one_line

if TYPE_CHECKING:
    from gog.pipelines.rehearse.checks import Check

EXAMPLES = example(
    "gog doctor",
    "gog doctor -c fvqa.yaml --json",
    "gog doctor -c fvqa.yaml -- --runner=FlinkRunner --job_endpoint=HOST:8099",
)


def doctor(
    config: ConfigOption = None,
    demo: DemoOption = False,
    lake: LakeOption = None,
    name: RunOption = None,
    beam: BeamOptions = None,
    as_json: JsonOption = False,
) -> None:
    from gog.pipelines.rehearse.doctor import doctor as examine
    from gog.pipelines.rehearse.engine import engine_checks

    args = beam_args(beam or ())
    checks = examine(config_of(config, lake, name, demo=demo))
    if args:
        checks += engine_checks(args)
    print_checks(checks, as_json=as_json)


def print_checks(checks: "Sequence[Check]", *, as_json: bool = False) -> None:
    """Print what was looked at. Raises `FellShortError` where there is a problem."""
    from gog.pipelines.views.summary import console_for

    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        console = console_for(sys.stdout)
        styles = {"ok": "green", "warning": "yellow", "problem": "red"}
        for check in checks if console.is_terminal else ():
            row = Table.grid(padding=(0, 2))
            state, part = Text(f"{check.state:7}", styles[check.state]), Text(f"{check.name:13}", "bold")
            row.add_row(state, part, Text(one_line(check.found)))
            if check.advice:
                row.add_row("", "", Text(check.advice, "dim"))
            console.print(row)
        for check in () if console.is_terminal else checks:  # a line each, however long
            print(f"{check.state:7}  {check.name:13}  {one_line(check.found)}")
            if check.advice:
                print(f"{'':24}{check.advice}")
    problems = sum(check.state == "problem" for check in checks)
    if problems:
        raise FellShortError(f"{problems} problem{'s' * (problems > 1)}")

"""What the commands that run steps share: the steps are run, and what came of them is printed."""

import logging
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gog.pipelines.cli.errors import FellShortError, UseError
from gog.pipelines.cli.options import beam_args, print_json
from gog.pipelines.cli.targets import pointing
from gog.schemas import REASONS

if TYPE_CHECKING:
    from gog.pipelines.config.config import Config
    from gog.pipelines.views.summary import Summary

STAGES_OF = {"synthesize": ("screen", "propose", "synthesize", "verify")}
"""Stages of the funnel that a step counts; any other counts the one of its name."""


def needs(config: "Config", table: str, command: str) -> None:
    """Raise `UseError` when the run has nothing yet of what the command works with."""
    from gog.pipelines.lake.lake import Lake, is_lake

    if not (is_lake(config.lake) and Lake(config.lake, create=False).parts(config.run, table)):
        raise UseError(
            f"the run {config.run!r} has no table {table} yet: first `{command}`, or `gog run` for all of it"
        )


def work(
    config: "Config",
    steps: tuple[str, ...] | None = None,
    *,
    accept: int | None = None,
    min_kept: int = 1,
    replace: bool = True,
    beam: list[str] | None = None,
    as_json: bool = False,
) -> None:
    """Run the steps, all unless named, and print what came of them.

    Raises `FellShortError` where a run stopped, where less than `min_kept` was kept, and where a step left nothing.
    """
    from gog.pipelines.cli.progress import Progress
    from gog.pipelines.lake.lake import Lake
    from gog.pipelines.show.report.page import write_report
    from gog.pipelines.steps.run import STEPS
    from gog.pipelines.steps.run import run as run_engine
    from gog.pipelines.views.database import open_lake
    from gog.pipelines.views.summary import console_for, print_funnel, print_summary, summarise

    args = beam_args(beam or ())
    if any(arg.startswith("--runner") for arg in args):
        logging.disable(logging.NOTSET)  # what another runner has to say is in its log alone
    with Progress(config, sys.stderr) as progress:
        result = run_engine(
            config, steps=steps or STEPS, accept=accept, runner_args=args, on_shard=progress.shard, replace=replace
        )
    with open_lake(Lake(config.lake, create=False).run_folder(config.run)) as views:
        summary = summarise(views)
    if as_json:
        print_json({"run": config.run, "state": result.manifest.state, "stopped": result.stopped} | summary)
    elif steps is None:
        print_summary(summary, console_for(sys.stdout))
    else:
        stages = [stage for step in steps for stage in _stages_of(step)]
        print_funnel(summary, console_for(sys.stdout), stages)
    if steps is None:
        report = write_report(Lake(config.lake, create=False), config.run)
        if not as_json:
            print(f"The same as a page, with plots and trajectories: {report}")
    failed = _failed(summary)
    if failed and not as_json:
        retry = f"gog retry{pointing(config)}" + "".join(f" --reason {code}" for code in sorted(failed))
        print(f"{failed.total():,} left because something outside failed; once it works: {retry}")
    if result.stopped:
        raise FellShortError(f"{result.stopped}; everything is kept, {result.advice}")
    _check_left(config, summary, ("curate", "export_sft") if steps is None else steps, min_kept)


def _check_left(config: "Config", summary: "Summary", steps: Sequence[str], min_kept: int) -> None:
    """Raise `FellShortError` where a step left nothing, or too little was kept, with the reason that took most."""
    why = f'`gog inspect{pointing(config)} --sql "from reasons"` says why'
    if "curate" in steps:
        kept = sum(line["kept"] for line in summary["behaviours"])
        if kept < min_kept:
            few = f"{kept:,} kept of at least {min_kept:,}" if kept else "nothing was kept"
            raise FellShortError(f"{few}{_took_most(summary, None)}; {why}")
        if not kept:
            return
    for step in steps:
        lines = [line for line in summary["funnel"] if line["stage"] in _stages_of(step)]
        if lines and not sum(line["passed"] for line in lines):
            done = {"export": "exported", "label": "labelled"}.get(step.partition("_")[0], f"left by {step}")
            raise FellShortError(f"nothing was {done}{_took_most(summary, _stages_of(step))}; {why}")


def _stages_of(step: str) -> tuple[str, ...]:
    """The stages of the funnel that a step counts."""
    return STAGES_OF.get(step, (step,))


def _took_most(summary: "Summary", stages: Sequence[str] | None) -> str:
    """The reason that most left for, of these stages or of all, in words; what passed over is no loss."""
    lines = [line for line in summary["reasons"] if stages is None or line["stage"] in stages]
    taken = sum((Counter({line["reason"]: line["rejects"]}) for line in lines), Counter[str]())
    if not taken:
        return ", since nothing came in"
    (reason, count), *_ = taken.most_common(1)
    meaning = f" ({REASONS[reason]})" if reason in REASONS else ""
    return f": {reason} took {count:,}{meaning}"


def _failed(summary: "Summary") -> Counter[str]:
    """How many left because something outside failed, by reason."""
    from gog.schemas.reasons import OUTSIDE

    lines = [line for line in summary["reasons"] if line["reason"] in OUTSIDE]
    return sum((Counter({line["reason"]: line["rejects"]}) for line in lines), Counter())

"""Commands that do the work: run, demo, and the pipelines one at a time."""

import logging
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gog.pipelines.cli.common import (
    FELL_SHORT,
    ConfigOption,
    JsonOption,
    LakeOption,
    RunOption,
    UseError,
    beam_args,
    config_of,
    example,
    pointing,
    print_json,
)
from gog.pipelines.cli.progress import Progress
from gog.pipelines.cli.store import OlderThan, seconds_of
from gog.pipelines.config.config import Config, parse_config
from gog.schemas.reasons import OUTSIDE
from gog.transforms.dialect.backbones import BACKBONES, BackboneName
from gog.transforms.export.rows import Reviewed
from gog.transforms.export.target import KINDS, Format, Target

if TYPE_CHECKING:
    from gog.pipelines.views.summary import Summary

Beam = Annotated[list[str] | None, typer.Argument(help="Options for Beam, after `--`.", metavar="-- BEAM OPTIONS")]
Seed = Annotated[
    int | None, typer.Option("--seed", metavar="NUMBER", help="Seed of every draw; the config's unless given.")
]
Accept = Annotated[
    int | None, typer.Option("--accept", min=1, metavar="NUMBER", help="Stop when so many trajectories are kept.")
]
Refresh = Annotated[
    list[str] | None,
    typer.Option("--refresh", metavar="KIND", help="Buy answers of this kind anew, such as text_search."),
]

RUNNERS = (
    "What follows `--` goes to Beam: a runner by name takes the same pipelines to Flink, Spark or Dataflow. Whatever "
    "stopped a run, the same command goes on."
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    on_flink = "gog run -c fvqa.yaml -- --runner=FlinkRunner --flink_master=HOST:8081"
    app.command(epilog=example("gog run -c fvqa.yaml", "gog run -c fvqa.yaml --accept 5000", on_flink, more=RUNNERS))(
        run
    )
    app.command(epilog=example("gog demo", "gog demo --lake /tmp/lake"))(demo)
    app.command(
        epilog=example(
            "gog ingest -c fvqa.yaml", "gog ingest -c fvqa.yaml --where category=search_required --limit 100"
        )
    )(ingest)
    app.command(epilog=example("gog synthesize -c fvqa.yaml"))(synthesize)
    app.command(epilog=example("gog curate -c fvqa.yaml"))(curate)
    app.command(
        epilog=example(
            "gog label -c fvqa.yaml --policy vllm:models/sft/merged",
            "gog label -c fvqa.yaml --policy checkpoint:models/sft/adapter",
        )
    )(label)
    app.command(
        epilog=example(
            "gog export rl -c fvqa.yaml",
            "gog export sft -c fvqa.yaml --format trl --backbone qwen3-vl --push me/f",
        )
    )(export)


def run(
    config: ConfigOption = None,
    lake: LakeOption = None,
    name: RunOption = None,
    seed: Seed = None,
    accept: Accept = None,
    refresh: Refresh = None,
    older_than: OlderThan = None,
    beam: Beam = None,
    as_json: JsonOption = False,
) -> None:
    """Seeds to SFT and RL splits; goes on where it stopped.

    Finished shards are never done again, and the store answers what was asked before. At a ceiling of the budget the
    exit code is 1; with a higher one the same command goes on.
    """
    made = _refreshing(config_of(config, lake, name, seed), refresh, older_than)
    _work(made, None, accept, beam, as_json)


def _refreshing(config: Config, kinds: list[str] | None, older_than: str | None) -> Config:
    """The config, told to buy anew what is older. Raises `UseError`."""
    from gog.pipelines.lake.lake import Lake
    from gog.transforms.services.store.forms import BOUGHT

    if not kinds:
        if older_than:
            raise UseError("--older-than says what to buy anew: name a kind with --refresh")
        return config
    wrong = [kind for kind in kinds if kind not in BOUGHT]
    if wrong:
        raise UseError(f"{wrong[0]!r} is no kind of answer; there are {', '.join(BOUGHT)}")
    before = time.time() - seconds_of(older_than or "0s")
    there = (Path(config.lake) / "lake.json").exists()
    manifest = Lake(Path(config.lake), create=False).read_manifest(config.run) if there else None
    if manifest is not None and manifest.state == "done":
        raise UseError(f"the run {config.run!r} is finished and asks nothing any more: name another with --run")
    store = config.store.model_copy(update={"refresh": tuple(sorted(kinds)), "refresh_before": before})
    return config.model_copy(update={"store": store})


def demo(lake: LakeOption = None) -> None:
    """The whole engine on its bundled world; no key, no GPU.

    Composes 600 seeds of flags in scenes, attempts each four times with the embedded rule-based planner, and writes
    SFT and RL splits to the run `atlas`; one trajectory is drawn as a picture. Needs no network.
    """
    from gog.pipelines.show.demo import show_demo

    made = config_of(None, lake)
    _work(made, None, None, None, False)
    show_demo(made, pointing(made, run=False))


def ingest(
    config: ConfigOption = None,
    lake: LakeOption = None,
    name: RunOption = None,
    seed: Seed = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="NUMBER", help="The first so many rows that are wanted.")
    ] = None,
    sample: Annotated[
        float | None,
        typer.Option("--sample", metavar="SHARE", help="A share of the rows, from 0 to 1: the same ones every time."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="CONDITION", help="column=value, !=, ~regex or !~; several must all hold."),
    ] = None,
    beam: Beam = None,
) -> None:
    """Source rows to seeds and images.

    The options that select rows stand in for keys of the config's source; a run that shall go on beyond ingest needs
    them there, since it keeps the selection that it began with.
    """
    made = config_of(config, lake, name, seed)
    asked = {"limit": limit, "sample": sample, "where": where or None}
    given = {key: value for key, value in asked.items() if value is not None}
    if given:
        data = made.model_dump(mode="json")
        made = parse_config(data | {"source": data["source"] | given}, "command line")
    _work(made, ("ingest",), None, beam, False)


def synthesize(
    config: ConfigOption = None,
    lake: LakeOption = None,
    name: RunOption = None,
    seed: Seed = None,
    accept: Accept = None,
    beam: Beam = None,
) -> None:
    """Screen, propose, synthesize and verify the seeds.

    Works on the shards that are ingested and not yet done.
    """
    made = config_of(config, lake, name, seed)
    _needs(made, "seeds", "gog ingest")
    _work(made, ("synthesize",), accept, beam, False)


def curate(config: ConfigOption = None, lake: LakeOption = None, name: RunOption = None, seed: Seed = None) -> None:
    """Keep the best trajectories, balanced and grouped.

    The best of each seed, without near-copies, in the shares of behaviours that the config asks for, and in groups
    that no split crosses.
    """
    made = config_of(config, lake, name, seed)
    _needs(made, "verdicts", "gog synthesize")
    _work(made, ("curate",), None, None, False)


def label(
    config: ConfigOption = None,
    lake: LakeOption = None,
    name: RunOption = None,
    seed: Seed = None,
    beam: Beam = None,
    policy: Annotated[
        str | None, typer.Option("--policy", metavar="ADDRESS", help="Address of the policy; the config's labeller.")
    ] = None,
) -> None:
    """Complexity of the RL pool, by k tries of a policy.

    The pool is every hard seed that SFT does not train on. Another policy labels all of it anew.
    """
    made = config_of(config, lake, name, seed)
    if policy is not None:
        made = made.model_copy(update={"labeller": policy})
    _needs(made, "curated", "gog curate")
    _work(made, ("label",), None, beam, False)


def export(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="sft or rl.")],
    config: ConfigOption = None,
    lake: LakeOption = None,
    name: RunOption = None,
    seed: Seed = None,
    form: Annotated[
        Format, typer.Option("--format", help="Who reads it; parquet is the engine's own, in the run's frame.")
    ] = Format.PARQUET,
    backbone: Annotated[
        BackboneName | None,
        typer.Option("--backbone", help="The model to train: boxes, sizes and tools as it has them."),
    ] = None,
    reviewed: Annotated[
        Reviewed | None,
        typer.Option("--reviewed", help="What SFT splits make of reviews (`gog view`); the config's unless given."),
    ] = None,
    push: Annotated[
        str | None, typer.Option("--push", metavar="REPO", help="Upload it as a dataset of the Hugging Face hub.")
    ] = None,
) -> None:
    """Write the SFT or RL splits, with card and manifest.

    Parquet with the images inside, as `load_dataset` reads it. For RL the pool must be labelled. With a trainer's
    format, a second export beside it: every trajectory replayed in the backbone's frame.

    What anybody rejected in `gog view` stays out; with `--reviewed require` all that nobody accepted, too. A gaze
    whose box was corrected is not trained.
    """
    if kind not in {"sft", "rl"}:
        raise typer.BadParameter("there are two exports: sft and rl", param_hint="KIND")
    target = _target(kind, form, backbone)
    made = config_of(config, lake, name, seed)
    if reviewed is not None:
        if kind == "rl":
            raise typer.BadParameter("reviews are of trajectories; RL splits hold seeds", param_hint="--reviewed")
        made = made.model_copy(update={"export": made.export.model_copy(update={"reviewed": reviewed})})
    _needs(made, *(("curated", "gog curate") if kind == "sft" else ("complexity", "gog label")))
    _work(made, (f"export_{kind}",), None, None, False)
    folder = Path(made.lake) / "runs" / made.run / "exports" / kind
    if target.backbone is not None:
        from gog.pipelines.steps.export import export_for

        done = export_for(made, kind, target)
        folder = done.folder
        rows = ", ".join(f"{number} {split}" for split, number in done.rows.items())
        print(f"{form}: {rows}" + "".join(f"; {number} {reason}" for reason, number in done.rejected.items()))
        print(f"{folder}: README.md says how to load it")
    else:
        print(f"{folder}: README.md is its card; load it with\n  load_dataset('parquet', data_dir='{folder}')")
    if push is not None:
        from gog.pipelines.export.hub import push_export

        print(f"uploaded to {push_export(folder, push)}")


def _target(kind: str, form: Format, backbone: BackboneName | None) -> Target:
    """What the export is for. Raises `typer.BadParameter`."""
    names = " or ".join(BackboneName)
    if form is Format.PARQUET and backbone is not None:
        raise typer.BadParameter(
            "parquet is in the run's own frame: for a backbone use --format trl", param_hint="--backbone"
        )
    if form is not Format.PARQUET and backbone is None:
        raise typer.BadParameter(f"{form} needs the model to train: {names}", param_hint="--backbone")
    if kind not in KINDS[form]:
        others = ", ".join(other for other in Format if kind in KINDS[other])
        raise typer.BadParameter(
            f"{form} does not train {kind} with tools and images; use {others}", param_hint="--format"
        )
    return Target(form, BACKBONES[backbone] if backbone else None)


STAGES_OF = {
    "ingest": ("ingest",),
    "synthesize": ("screen", "propose", "synthesize", "verify"),
    "curate": ("curate",),
    "label": ("label",),
    "export_sft": ("export_sft",),
    "export_rl": ("export_rl",),
}
"""Stages of the funnel that each step counts."""


def _needs(config: Config, table: str, command: str) -> None:
    """Raise `UseError` when the run has nothing yet of what the command works with."""
    from gog.pipelines.lake.lake import Lake

    there = (Path(config.lake) / "lake.json").exists()
    if not (there and Lake(Path(config.lake), create=False).parts(config.run, table)):
        raise UseError(
            f"the run {config.run!r} has no table {table} yet: first `{command}`, or `gog run` for all of it"
        )


def _work(
    config: Config, steps: tuple[str, ...] | None, accept: int | None, beam: list[str] | None, as_json: bool
) -> None:
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
        result = run_engine(config, steps=steps or STEPS, accept=accept, runner_args=args, on_shard=progress.shard)
    with open_lake(Path(config.lake) / "runs" / config.run) as views:
        summary = summarise(views)
    if as_json:
        print_json({"run": config.run, "state": result.manifest.state, "stopped": result.stopped} | summary)
    elif steps is None:
        print_summary(summary, console_for(sys.stdout))
    else:
        print_funnel(summary, console_for(sys.stdout), [stage for step in steps for stage in STAGES_OF[step]])
    if steps is None:
        report = write_report(Lake(Path(config.lake), create=False), config.run)
        if not as_json:
            print(f"The same as a page, with plots and trajectories: {report}")
    failed = _failed(summary)
    if failed and not as_json:
        retry = f"gog retry{pointing(config)}" + "".join(f" --reason {code}" for code in sorted(failed))
        print(f"{failed.total():,} left because something outside failed; once it works: {retry}")
    if result.stopped:
        print(f"gog: {result.stopped}; everything is kept, go on with a higher ceiling", file=sys.stderr)
        raise typer.Exit(FELL_SHORT)
    if steps is None and not any(line["kept"] for line in summary["behaviours"]):
        why = f'gog inspect{pointing(config)} --sql "from reasons"'
        print(f"gog: nothing was kept: `{why}` says why", file=sys.stderr)
        if failed:
            raise typer.Exit(FELL_SHORT)


def _failed(summary: "Summary") -> Counter[str]:
    """How many left because something outside failed, by reason."""
    failed: Counter[str] = Counter()
    for line in summary["reasons"]:
        if line["reason"] in OUTSIDE:
            failed[line["reason"]] += line["rejects"]
    return failed

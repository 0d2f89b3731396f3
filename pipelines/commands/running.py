"""Commands that do the work: run, demo, and the pipelines one at a time."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gog.pipelines.commands.common import (
    FELL_SHORT,
    ConfigOption,
    JsonOption,
    LakeOption,
    RunOption,
    beam_args,
    config_of,
    print_json,
)
from gog.pipelines.commands.progress import Progress
from gog.pipelines.config import Config

Beam = Annotated[list[str] | None, typer.Argument(help="Options for Beam, after `--`.", metavar="[-- BEAM OPTIONS]")]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of every draw; the config's unless given.")]
Accept = Annotated[int | None, typer.Option("--accept", min=1, help="Stop when this many trajectories are kept.")]

RUNNERS = "Beam options follow `--`, for example: -- --runner=FlinkRunner --flink_master=localhost:8081"


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=f"Example: gog run --config fvqa.yaml --accept 5000. {RUNNERS}")(run)
    app.command(epilog="Example: gog demo")(demo)
    app.command(epilog=f"Example: gog ingest --config fvqa.yaml. {RUNNERS}")(ingest)
    app.command(epilog=f"Example: gog synthesize --config fvqa.yaml. {RUNNERS}")(synthesize)
    app.command(epilog="Example: gog curate --config fvqa.yaml")(curate)
    app.command(epilog="Example: gog label --config fvqa.yaml --policy planner:skill=0.4")(label)
    app.command(epilog="Example: gog export rl --config fvqa.yaml")(export)


def run(
    config: ConfigOption = None,
    lake: LakeOption = None,
    name: RunOption = None,
    seed: Seed = None,
    accept: Accept = None,
    beam: Beam = None,
    as_json: JsonOption = False,
) -> None:
    """Seeds to SFT and RL splits; goes on where it stopped."""
    _work(config_of(config, lake, name, seed), None, accept, beam, as_json)


def demo(lake: LakeOption = None) -> None:
    """The whole engine on the bundled world: no key, no GPU, no network."""
    from gog.pipelines.demo import show_demo

    made = config_of(None, lake)
    _work(made, None, None, None, False)
    show_demo(made)


def ingest(
    config: ConfigOption = None, lake: LakeOption = None, name: RunOption = None, seed: Seed = None, beam: Beam = None
) -> None:
    """Source rows to seeds and images."""
    _work(config_of(config, lake, name, seed), ("ingest",), None, beam, False)


def synthesize(
    config: ConfigOption = None,
    lake: LakeOption = None,
    name: RunOption = None,
    seed: Seed = None,
    accept: Accept = None,
    beam: Beam = None,
) -> None:
    """Screen, propose, search and synthesise, verify what was ingested."""
    _work(config_of(config, lake, name, seed), ("synthesize",), accept, beam, False)


def curate(config: ConfigOption = None, lake: LakeOption = None, name: RunOption = None, seed: Seed = None) -> None:
    """Keep the best, deduplicated and balanced, in groups that splits keep apart."""
    _work(config_of(config, lake, name, seed), ("curate",), None, None, False)


def label(
    config: ConfigOption = None,
    lake: LakeOption = None,
    name: RunOption = None,
    seed: Seed = None,
    beam: Beam = None,
    policy: Annotated[
        str | None, typer.Option("--policy", help="Address of the policy; the config's labeller.")
    ] = None,
) -> None:
    """Complexity of the RL pool, by k tries of a policy."""
    made = config_of(config, lake, name, seed)
    if policy is not None:
        made = made.model_copy(update={"labeller": policy})
    _work(made, ("label",), None, beam, False)


def export(
    kind: Annotated[str, typer.Argument(help="sft or rl")],
    config: ConfigOption = None,
    lake: LakeOption = None,
    name: RunOption = None,
    seed: Seed = None,
) -> None:
    """Write the SFT or RL splits as Parquet with images, a card and a manifest."""
    if kind not in {"sft", "rl"}:
        raise typer.BadParameter("there are two exports: sft and rl", param_hint="KIND")
    made = config_of(config, lake, name, seed)
    _work(made, (f"export_{kind}",), None, None, False)
    folder = Path(made.lake) / "runs" / made.run / "exports" / kind
    print(f"{folder}: README.md is its card; load it with\n  load_dataset('parquet', data_dir='{folder}')")


def _work(
    config: Config, steps: tuple[str, ...] | None, accept: int | None, beam: list[str] | None, as_json: bool
) -> None:
    from gog.pipelines.run import STEPS
    from gog.pipelines.run import run as run_engine
    from gog.pipelines.summary import console_for, print_summary, summarise
    from gog.pipelines.views import open_lake

    with Progress(config, sys.stderr) as progress:
        result = run_engine(
            config, steps=steps or STEPS, accept=accept, runner_args=beam_args(beam or ()), on_shard=progress.shard
        )
    if steps is None:
        with open_lake(Path(config.lake) / "runs" / config.run) as views:
            summary = summarise(views)
        if as_json:
            print_json({"run": config.run, "state": result.manifest.state} | summary)
        else:
            print_summary(summary, console_for(sys.stdout))
    if result.stopped:
        print(f"gog: {result.stopped}; everything is kept, go on with a higher ceiling", file=sys.stderr)
        raise typer.Exit(FELL_SHORT)

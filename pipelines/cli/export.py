"""Write the SFT or RL splits, with card and manifest.

Parquet with the images inside, as `load_dataset` reads it. For RL the pool must be labelled. With a trainer's
format, a second export beside it: every trajectory replayed in the backbone's frame.

What anybody rejected in `gog view` stays out; with `--reviewed require` all that nobody accepted, too. A gaze
whose box was corrected is not trained. What would take the place of an export with more rows is refused without
--replace, and told what it would leave.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from gog.pipelines.cli.errors import FellShortError, UseError
from gog.pipelines.cli.options import (
    BeamOptions,
    ConfigOption,
    DemoOption,
    LakeOption,
    RunOption,
    SeedOption,
    beam_args,
    example,
    option,
)
from gog.pipelines.cli.steps import needs, work
from gog.pipelines.cli.targets import config_of
from gog.pipelines.export.formats import FORMATS
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.export.rows import Reviewed
from gog.transforms.export.target import OWN, Target
from gog.transforms.open_set import UnknownMemberError
from gog.transforms.place import is_remote, place

EXAMPLES = example(
    "gog export rl -c fvqa.yaml", "gog export sft -c fvqa.yaml --format trl --backbone qwen3-vl --push me/f"
)


def export(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="sft or rl.")],
    config: ConfigOption = None,
    demo: DemoOption = False,
    lake: LakeOption = None,
    name: RunOption = None,
    seed: SeedOption = None,
    form: Annotated[
        str,
        option(
            "--format",
            "NAME",
            f"Who reads it, of {', '.join(FORMATS)}; parquet is the engine's own, in the run's frame.",
        ),
    ] = OWN,
    backbone: Annotated[
        str | None,
        option(
            "--backbone",
            "NAME",
            f"The model to train, of {', '.join(BACKBONES)}: boxes, sizes and tools as it has them.",
        ),
    ] = None,
    thinking: Annotated[
        bool,
        typer.Option(
            "--thinking/--no-thinking", help="Whether the backbone thinks: reasoning as thoughts, or as text."
        ),
    ] = True,
    reviewed: Annotated[
        Reviewed | None,
        typer.Option("--reviewed", help="What SFT splits make of reviews (`gog view`); the config's unless given."),
    ] = None,
    out: Annotated[Path | None, option("--out", "FOLDER", "Write it there; the run's own exports stay.")] = None,
    may_replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of an export with more rows, which is kept otherwise.")
    ] = False,
    push: Annotated[
        str | None,
        option("--push", "REPO", "Upload it to its folder, sft or rl, of a dataset on the Hugging Face hub."),
    ] = None,
    beam: BeamOptions = None,
) -> None:
    if kind not in {"sft", "rl"}:
        raise typer.BadParameter("there are two exports: sft and rl", param_hint="KIND")
    target = _target(kind, form, backbone)
    if target.backbone is None and not thinking:
        raise typer.BadParameter("parquet leaves reasoning as it is: name a --format", param_hint="--no-thinking")
    target = replace(target, thinking=thinking)
    loaded = config_of(config, lake, name, seed, demo=demo)
    if reviewed is not None:
        if kind == "rl":
            raise typer.BadParameter("reviews are of trajectories; RL splits hold seeds", param_hint="--reviewed")
        loaded = loaded.model_copy(update={"export": loaded.export.model_copy(update={"reviewed": reviewed})})
    if push is not None and out is None and is_remote(loaded.lake):
        raise UseError("--push uploads an export that is a folder of this machine: add --out FOLDER")
    args = beam_args(beam or ())
    if args and (out is not None or not FORMATS[form].own_columns):
        what = "--out" if out is not None else form
        raise UseError(f"{what} is written by this process alone: leave out the options for Beam")
    needs(loaded, *(("curated", "gog curate") if kind == "sft" else ("complexity", "gog label")))
    if out is None:
        work(loaded, (f"export_{kind}",), replace=may_replace, beam=beam)
    folder = place(loaded.lake) / "runs" / loaded.run / "exports" / kind
    if target.backbone is not None or out is not None:
        from gog.pipelines.steps.export import export_for

        done = export_for(loaded, kind, target, out=out, may_replace=may_replace, runner_args=args)
        folder = done.folder
        rows = ", ".join(f"{number:,} {split}" for split, number in done.rows.items())
        print(f"{form}: {rows}" + "".join(f"; {number:,} {reason}" for reason, number in done.rejected.items()))
        print(f"{folder}: README.md says how to load it")
        if not sum(done.rows.values()):
            most = max(done.rejected.items(), key=lambda pair: pair[1], default=None)
            raise FellShortError("nothing was exported" + (f": {most[0]} took {most[1]:,}" if most else ""))
    else:
        print(f"{folder}: README.md is its card; load it with\n  load_dataset('parquet', data_dir='{folder / 'data'}')")
    if push is not None:
        from gog.pipelines.export.hub import push_export

        print(f"uploaded to {push_export(folder, push, print)}")


def _target(kind: str, form: str, backbone: str | None) -> Target:
    """What the export is for. Raises `typer.BadParameter`."""
    try:
        known = FORMATS[form]
    except UnknownMemberError as error:
        raise typer.BadParameter(str(error), param_hint="--format") from None
    if form == OWN and backbone is not None:
        raise typer.BadParameter(
            "parquet is in the run's own frame: for a backbone use --format trl", param_hint="--backbone"
        )
    if form != OWN and backbone is None:
        raise typer.BadParameter(f"{form} needs the model to train: {' or '.join(BACKBONES)}", param_hint="--backbone")
    if kind not in known.kinds:
        others = ", ".join(other for other in FORMATS if kind in FORMATS[other].kinds)
        raise typer.BadParameter(
            f"{form} does not train {kind} with tools and images; use {others}", param_hint="--format"
        )
    try:
        return Target(form, BACKBONES[backbone] if backbone else None)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--backbone") from None

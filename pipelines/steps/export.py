"""A run's exports: SFT splits of what curation kept, RL splits of what was labelled. And those for trainers."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

from gog.pipelines.config.addresses import plugins_of
from gog.pipelines.config.config import Config
from gog.pipelines.connect.mcp_tools import with_pinned
from gog.pipelines.export import write as splits
from gog.pipelines.export.formats.export_format import DATA
from gog.pipelines.export.request import ExportRequest, SourceRun
from gog.pipelines.export.write import Exported, OnReject, WriteFiles, write_here
from gog.pipelines.lake.lake import Lake, write_atomic, write_part
from gog.pipelines.lake.review_files import read_reviews
from gog.pipelines.lake.reviews import ByReviewer, digest_reviews
from gog.pipelines.steps.context import Context
from gog.pipelines.steps.curate import GLOBAL, read_mark
from gog.pipelines.steps.export_job import write_on_engine
from gog.pipelines.steps.job_service import job_service
from gog.schemas import Reject
from gog.transforms.atomic import recover
from gog.transforms.export.target import Target, ToolSettings
from gog.transforms.place import is_remote


def export_sft(context: Context) -> None:
    """Write the SFT splits, unless they are those of this curation."""
    reviews = read_reviews(context.lake, context.run)
    reviewed = digest_reviews(reviews, context.config.export.reviewed)
    inputs = context.digest("curate", ("curated", "groups")) + reviewed
    _export(context, "sft", inputs, partial(splits.export_sft, _source(context, reviews)))


def export_rl(context: Context) -> None:
    """Write the RL splits, unless they are those of these labels."""
    inputs = context.digest("label", ("complexity",)) + context.digest("curate", ("groups",))
    _export(context, "rl", inputs, partial(splits.export_rl, _source(context)))


def export_for(
    config: Config,
    kind: str,
    target: Target,
    policy: str | None = None,
    *,
    out: Path | None = None,
    may_replace: bool = True,
    runner_args: tuple[str, ...] = (),
) -> Exported:
    """Write the splits of a run for a trainer, beside the run's own, or to a folder elsewhere.

    Raises `LakeError`, and where it may not take the place of what is there `SmallerExportError` or `NoExportError`.

    `policy` names whose levels the RL splits go by, where several have labelled the run.
    """
    lake = Lake(config.lake, create=False)
    manifest = lake.read_manifest(config.run)
    config = with_pinned(config, ask=False)
    request = replace(_request(config), target=target, policy=policy, out=out, replace=may_replace)
    with job_service(runner_args) as engine, lake.lock(config.run):
        context = Context(config, lake, engine, fingerprint=manifest.fingerprint if manifest else "")
        if kind == "sft":
            source = _source(context, read_reviews(lake, config.run))
            return splits.export_sft(source, request, write_files=_writer(context))
        return splits.export_rl(_source(context), request, write_files=_writer(context))


def _source(context: Context, reviews: Mapping[str, ByReviewer] = MappingProxyType({})) -> SourceRun:
    lake, episode = context.lake, context.config.episode
    return SourceRun(
        lake.run_folder(context.run), lake.images, episode, context.fingerprint, reviews, plugins_of(context.config)
    )


def _writer(context: Context) -> WriteFiles:
    return write_here if context.local else partial(write_on_engine, context)


def _request(config: Config) -> ExportRequest:
    return ExportRequest(config.export, tools=ToolSettings(crops=config.crops, search=config.search))


def _export(
    context: Context,
    kind: str,
    inputs: str,
    write: Callable[[ExportRequest, OnReject, WriteFiles], Exported],
) -> None:
    step = f"export_{kind}"
    folder = context.lake.run_folder(context.run)
    mark = folder / "exports" / f".{kind}.json"
    if not is_remote(str(folder)):
        recover(folder / "exports" / kind)
    # The layout is part of it: a mark of before the folder of data has none.
    wanted = {"inputs": inputs, "settings": context.config.export.model_dump(mode="json"), "layout": DATA}
    in_place = (folder / "exports" / kind / "manifest.json").exists()
    if in_place and context.done(step, GLOBAL) and read_mark(mark) == wanted:
        return
    context.on_shard(step, 0, 1)

    def on_ready() -> None:
        context.forget(step)
        mark.unlink(missing_ok=True)

    rejects: list[Reject] = []
    in_place = in_place and not context.replace
    request = replace(_request(context.config), replace=not in_place, on_ready=on_ready)
    exported = write(request, rejects.append, _writer(context))
    write_part(context.lake.part_path(context.run, "rejects", step, GLOBAL), "rejects", rejects)
    write_part(context.lake.part_path(context.run, "funnel", step, GLOBAL), "funnel", [exported.count])
    write_atomic(mark, json.dumps(wanted, sort_keys=True).encode())

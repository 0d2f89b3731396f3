"""A run's exports: SFT splits of what curation kept, RL splits of what was labelled. And those for trainers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from gog.pipelines.config.config import Config
from gog.pipelines.export import write as splits
from gog.pipelines.export.write import Exported
from gog.pipelines.lake.atomic import recover
from gog.pipelines.lake.lake import Lake, write_atomic, write_part
from gog.pipelines.lake.review_files import read_reviews
from gog.pipelines.lake.reviews import digest_reviews
from gog.pipelines.steps.context import Context
from gog.pipelines.steps.curate import GLOBAL, read_mark
from gog.schemas import Reject
from gog.transforms.export.target import Target, ToolSettings


class _Write(Protocol):
    def __call__(self, on_reject: Callable[[Reject], None]) -> Exported: ...


def export_sft(context: Context) -> None:
    """Write the SFT splits, unless they are those of this curation."""
    config = context.config
    folder = context.lake.run_folder(context.run)
    reviews = read_reviews(context.lake, context.run)
    inputs = context.digest("curate", ("curated", "groups")) + digest_reviews(reviews, config.export.reviewed)

    def write(on_reject: Callable[[Reject], None]) -> Exported:
        return splits.export_sft(
            folder,
            context.lake.images,
            config.export,
            config.episode,
            on_reject,
            context.fingerprint,
            reviews=reviews,
            tools=_tools(config),
        )

    _export(context, "export_sft", "sft", inputs, write)


def export_rl(context: Context) -> None:
    """Write the RL splits, unless they are those of these labels."""
    config = context.config
    folder = context.lake.run_folder(context.run)
    inputs = context.digest("label", ("complexity",)) + context.digest("curate", ("groups",))

    def write(on_reject: Callable[[Reject], None]) -> Exported:
        return splits.export_rl(
            folder,
            context.lake.images,
            config.export,
            config.episode,
            on_reject,
            context.fingerprint,
            tools=_tools(config),
        )

    _export(context, "export_rl", "rl", inputs, write)


def export_for(config: Config, kind: str, target: Target, policy: str | None = None) -> Exported:
    """Write the splits of a run for a trainer, beside the run's own. Raises `LakeError`.

    `policy` names whose levels the RL splits go by, where several have labelled the run.
    """
    lake = Lake(Path(config.lake), create=False)
    manifest = lake.read_manifest(config.run)
    fingerprint = manifest.fingerprint if manifest else ""
    folder, tools = lake.run_folder(config.run), _tools(config)
    with lake.lock(config.run):
        if kind == "sft":
            reviews = read_reviews(lake, config.run)
            return splits.export_sft(
                folder, lake.images, config.export, config.episode, _nowhere, fingerprint, target, reviews, tools
            )
        return splits.export_rl(
            folder, lake.images, config.export, config.episode, _nowhere, fingerprint, policy, target, tools
        )


def _tools(config: Config) -> ToolSettings:
    return ToolSettings(crops=config.crops, search=config.search)


def _nowhere(reject: Reject) -> None:
    """The export's own folder keeps it."""


def _export(context: Context, step: str, kind: str, inputs: str, write: _Write) -> None:
    folder = context.lake.run_folder(context.run)
    mark = folder / "exports" / f".{kind}.json"
    recover(folder / "exports" / kind)
    wanted = {"inputs": inputs, "settings": context.config.export.model_dump(mode="json")}
    in_place = (folder / "exports" / kind / "manifest.json").exists()
    if in_place and context.done(step, GLOBAL) and read_mark(mark) == wanted:
        return
    context.on_shard(step, 0, 1)
    context.forget(step)
    mark.unlink(missing_ok=True)
    rejects: list[Reject] = []
    exported = write(rejects.append)
    write_part(context.lake.part_path(context.run, "rejects", step, GLOBAL), "rejects", rejects)
    write_part(context.lake.part_path(context.run, "funnel", step, GLOBAL), "funnel", [exported.count])
    write_atomic(mark, json.dumps(wanted, sort_keys=True).encode())

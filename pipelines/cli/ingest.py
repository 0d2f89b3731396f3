"""Source rows to seeds and images.

The options that select rows stand in for keys of the config's source; a run that shall go on beyond ingest needs
them there, since it keeps the selection that it began with.
"""

import sys
from typing import TYPE_CHECKING, Annotated

from rich.text import Text

from gog.pipelines.cli.errors import FellShortError
from gog.pipelines.cli.options import (
    BeamOptions,
    ConfigOption,
    DemoOption,
    LakeOption,
    RunOption,
    SeedOption,
    example,
    option,
)
from gog.pipelines.cli.steps import work
from gog.pipelines.cli.targets import config_of
from gog.pipelines.lake.one_line import one_line

if TYPE_CHECKING:
    from gog.pipelines.config.config import Config

EXAMPLES = example(
    "gog ingest --show 3",
    "gog ingest -c fvqa.yaml",
    "gog ingest -c fvqa.yaml --where category=search_required --limit 100",
)


def ingest(
    config: ConfigOption = None,
    demo: DemoOption = False,
    lake: LakeOption = None,
    name: RunOption = None,
    seed: SeedOption = None,
    limit: Annotated[int | None, option("--limit", "NUMBER", "The first so many rows that are wanted.", min=1)] = None,
    sample: Annotated[
        float | None, option("--sample", "SHARE", "A share of the rows, from 0 to 1: the same ones every time.")
    ] = None,
    where: Annotated[
        list[str] | None, option("--where", "CONDITION", "column=value, !=, ~regex or !~; several must all hold.")
    ] = None,
    show: Annotated[
        int | None, option("--show", "NUMBER", "Only show so many seeds as they are understood; nothing is run.", min=1)
    ] = None,
    beam: BeamOptions = None,
) -> None:
    from gog.pipelines.config.config import parse_config
    from gog.pipelines.rehearse.understood import about_lists, answers_like_lists

    loaded = config_of(config, lake, name, seed, demo=demo)
    asked = {"limit": limit, "sample": sample, "where": where or None}
    given = {key: value for key, value in asked.items() if value is not None}
    if given:
        data = loaded.model_dump(mode="json")
        loaded = parse_config(data | {"source": data["source"] | given}, "command line")
    if show is not None:
        _show(loaded, show)
        return
    for line in about_lists(answers_like_lists(loaded)):
        print(f"gog: {line}", file=sys.stderr)
    work(loaded, ("ingest",), beam=beam)


def _show(config: "Config", count: int) -> None:
    """Print the first seeds. Raises `FellShortError` where there is none."""
    from gog.pipelines.rehearse.understood import advice_on_pictures, told, understood
    from gog.pipelines.show.blocks import in_blocks
    from gog.pipelines.views.summary import console_for

    console = console_for(sys.stdout)
    found = understood(config, count)
    for shown in found.seeds:
        seed = shown.seed
        console.print(Text(shown.row_id, style="bold"))
        if console.is_terminal and console.color_system in ("256", "truecolor"):
            for picture in shown.pictures:
                console.print(in_blocks(picture.pixels))
        span = (
            "" if seed.answer_low is None and seed.answer_high is None else f", {seed.answer_low} to {seed.answer_high}"
        )
        lines = {
            **{
                f"picture {number}" if len(shown.pictures) > 1 else "picture": str(picture)
                for number, picture in enumerate(shown.pictures)
            },
            "question": seed.question,
            "answers": ", ".join(repr(answer) for answer in seed.answers),
            "type": f"{seed.answer_type}{f' in {seed.answer_unit}' if seed.answer_unit else ''}{span}",
            "entity": seed.entity or "",
            "category": seed.category,
            "licence": seed.licence,
        }
        for name, value in lines.items():
            if value:
                console.print(Text(f"  {name:9} {one_line(value, 1000)}"), soft_wrap=True)
    if found.rejects:
        console.print(Text(f"Left out of the first {found.opened} rows: {len(found.rejects)}", style="bold"))
    for reject in found.rejects[:count]:
        console.print(Text(f"  {reject.id} {reject.reason}: {one_line(reject.detail, 300)}"), soft_wrap=True)
    for line in told(found):
        console.print(Text(line), soft_wrap=True)
    if advice := advice_on_pictures(found, config):
        console.print(Text(f"Pictures are missing: {advice}"), soft_wrap=True)
    if not found.seeds:
        raise FellShortError(f"none of the first {found.opened} rows becomes a seed")

"""Source rows to seeds and images.

The options that select rows stand in for keys of the config's source; a run that shall go on beyond ingest needs
them there, since it keeps the selection that it began with.
"""

from typing import Annotated

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

EXAMPLES = example("gog ingest -c fvqa.yaml", "gog ingest -c fvqa.yaml --where category=search_required --limit 100")


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
    beam: BeamOptions = None,
) -> None:
    from gog.pipelines.config.config import parse_config

    loaded = config_of(config, lake, name, seed, demo=demo)
    asked = {"limit": limit, "sample": sample, "where": where or None}
    given = {key: value for key, value in asked.items() if value is not None}
    if given:
        data = loaded.model_dump(mode="json")
        loaded = parse_config(data | {"source": data["source"] | given}, "command line")
    work(loaded, ("ingest",), beam=beam)

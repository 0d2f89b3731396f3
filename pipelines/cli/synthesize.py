"""Screen, propose, synthesize and verify the seeds.

Works on the shards that are ingested and not yet done.
"""

from gog.pipelines.cli.options import (
    AcceptOption,
    BeamOptions,
    ConfigOption,
    DemoOption,
    LakeOption,
    RunOption,
    SeedOption,
    example,
)
from gog.pipelines.cli.steps import needs, work
from gog.pipelines.cli.targets import config_of

EXAMPLES = example("gog synthesize -c fvqa.yaml")


def synthesize(
    config: ConfigOption = None,
    demo: DemoOption = False,
    lake: LakeOption = None,
    name: RunOption = None,
    seed: SeedOption = None,
    accept: AcceptOption = None,
    beam: BeamOptions = None,
) -> None:
    loaded = config_of(config, lake, name, seed, demo=demo)
    needs(loaded, "seeds", "gog ingest")
    work(loaded, ("synthesize",), accept=accept, beam=beam)

"""Screen, propose, synthesize and verify the seeds.

Works on the shards that are ingested and not yet done.
"""

from gog.pipelines.cli.options import (
    AcceptOption,
    BeamOptions,
    ConfigOption,
    LakeOption,
    RunOption,
    SeedOption,
    command_app,
    example,
)
from gog.pipelines.cli.steps import needs, work
from gog.pipelines.cli.targets import config_of

app = command_app()


@app.command(help=__doc__, epilog=example("gog synthesize -c fvqa.yaml"))
def synthesize(
    config: ConfigOption = None,
    lake: LakeOption = None,
    name: RunOption = None,
    seed: SeedOption = None,
    accept: AcceptOption = None,
    beam: BeamOptions = None,
) -> None:
    made = config_of(config, lake, name, seed)
    needs(made, "seeds", "gog ingest")
    work(made, ("synthesize",), accept, beam, False)

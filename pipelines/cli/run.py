"""Seeds to SFT and RL splits; goes on where it stopped.

Finished shards are never done again, and the store answers what was asked before. At a ceiling of the budget the
exit code is 1; with a higher one the same command goes on.
"""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from gog.pipelines.cli.errors import UseError
from gog.pipelines.cli.options import (
    AcceptOption,
    BeamOptions,
    ConfigOption,
    DemoOption,
    JsonOption,
    LakeOption,
    MinKept,
    OlderThan,
    RunOption,
    SeedOption,
    beam_args,
    example,
    option,
    seconds_of,
)
from gog.pipelines.cli.steps import work
from gog.pipelines.cli.targets import config_of

if TYPE_CHECKING:
    from gog.pipelines.config.config import Config

Refresh = Annotated[
    list[str] | None, option("--refresh", "KIND", "Buy answers of this kind anew, such as text_search.")
]
RUNNERS = (
    "What follows `--` goes to Beam: a runner by name takes the same pipelines to Flink, Spark or Dataflow. Whatever "
    "stopped a run, the same command goes on."
)
ON_FLINK = "gog run -c fvqa.yaml -- --runner=FlinkRunner --flink_master=HOST:8081"
DRY = "gog run --dry-run -c fvqa.yaml -- --runner=DataflowRunner --region=R"
EXAMPLES = example(
    "gog run -c fvqa.yaml", "gog run -c fvqa.yaml --accept 5000 --min-kept 4000", ON_FLINK, DRY, more=RUNNERS
)


def run(
    config: ConfigOption = None,
    demo: DemoOption = False,
    lake: LakeOption = None,
    name: RunOption = None,
    seed: SeedOption = None,
    min_kept: MinKept = 1,
    accept: AcceptOption = None,
    refresh: Refresh = None,
    older_than: OlderThan = None,
    dry: Annotated[bool, typer.Option("--dry-run", help="Build the jobs and check them; run none.")] = False,
    beam: BeamOptions = None,
    as_json: JsonOption = False,
) -> None:
    if dry:
        from gog.pipelines.cli.doctor import print_checks
        from gog.pipelines.rehearse.dry_run import dry_run

        print_checks(dry_run(config_of(config, lake, name, seed, demo=demo), beam_args(beam or ())), as_json=as_json)
        return
    loaded = _refreshing(config_of(config, lake, name, seed, demo=demo), refresh, older_than)
    work(loaded, accept=accept, min_kept=min_kept, beam=beam, as_json=as_json)


def _refreshing(config: "Config", kinds: list[str] | None, older_than: str | None) -> "Config":
    """The config, told to buy anew what is older. Raises `UseError`."""
    from gog.pipelines.lake.lake import Lake, is_lake
    from gog.transforms.services.store.forms import BOUGHT

    if not kinds:
        if older_than:
            raise UseError("--older-than says what to buy anew: name a kind with --refresh")
        return config
    wrong = [kind for kind in kinds if kind not in BOUGHT]
    if wrong:
        raise UseError(f"{wrong[0]!r} is no kind of answer; there are {', '.join(BOUGHT)}")
    before = time.time() - seconds_of(older_than or "0s")
    manifest = Lake(config.lake, create=False).read_manifest(config.run) if is_lake(config.lake) else None
    if manifest is not None and manifest.state == "done":
        raise UseError(f"the run {config.run!r} is finished and asks nothing any more: name another with --run")
    store = config.store.model_copy(update={"refresh": tuple(sorted(kinds)), "refresh_before": before})
    return config.model_copy(update={"store": store})

"""Keep the best trajectories, balanced and grouped.

The best of each seed, without near-copies, in the shares of behaviours that the config asks for, and in groups
that no split crosses.
"""

from gog.pipelines.cli.options import ConfigOption, DemoOption, LakeOption, MinKept, RunOption, SeedOption, example
from gog.pipelines.cli.steps import needs, work
from gog.pipelines.cli.targets import config_of

EXAMPLES = example("gog curate -c fvqa.yaml")


def curate(
    config: ConfigOption = None,
    demo: DemoOption = False,
    lake: LakeOption = None,
    name: RunOption = None,
    seed: SeedOption = None,
    min_kept: MinKept = 1,
) -> None:
    loaded = config_of(config, lake, name, seed, demo=demo)
    needs(loaded, "verdicts", "gog synthesize")
    work(loaded, ("curate",), min_kept=min_kept)

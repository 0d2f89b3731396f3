"""A few seeds, every turn printed as it happens.

What is asked is kept in the store, so that a run does not pay for it again; no table of the run is written. Each
seed's best trajectory is drawn below LAKE/previews.
"""

import sys
from typing import Annotated

from gog.pipelines.cli.options import ConfigOption, DemoOption, LakeOption, RunOption, example, option
from gog.pipelines.cli.targets import config_of

EXAMPLES = example("gog preview -n 5 -c fvqa.yaml")


def preview(
    count: Annotated[int, option("-n", "NUMBER", "How many seeds.", min=1)] = 5,
    config: ConfigOption = None,
    demo: DemoOption = False,
    lake: LakeOption = None,
    name: RunOption = None,
) -> None:
    from gog.pipelines.rehearse.preview import preview as show_preview
    from gog.pipelines.rehearse.transcript import Teller
    from gog.pipelines.views.summary import console_for

    show_preview(config_of(config, lake, name, demo=demo), count, Teller(console_for(sys.stdout)))

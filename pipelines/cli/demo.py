"""The whole engine on its bundled world; no key, no GPU.

Composes 600 seeds of flags in scenes, attempts each four times with the embedded rule-based planner, and writes
SFT and RL splits to the run `atlas`; one trajectory is drawn as a picture. Needs no network.
"""

from gog.pipelines.cli.options import LakeOption, example
from gog.pipelines.cli.steps import work
from gog.pipelines.cli.targets import config_of, pointing

EXAMPLES = example("gog demo", "gog demo --lake /tmp/lake")


def demo(lake: LakeOption = None) -> None:
    from gog.pipelines.show.demo import show_demo

    loaded = config_of(None, lake, demo=True)
    work(loaded)
    show_demo(loaded, pointing(loaded, run=False))

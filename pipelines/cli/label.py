"""Complexity of the RL pool, by k tries of a policy.

The pool is every hard seed that SFT does not train on. Another policy labels all of it anew.
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
from gog.pipelines.cli.steps import needs, work
from gog.pipelines.cli.targets import config_of

EXAMPLES = example(
    "gog label -c fvqa.yaml --policy vllm:models/sft/merged",
    "gog label -c fvqa.yaml --policy checkpoint:models/sft/adapter",
)


def label(
    config: ConfigOption = None,
    demo: DemoOption = False,
    lake: LakeOption = None,
    name: RunOption = None,
    seed: SeedOption = None,
    beam: BeamOptions = None,
    policy: Annotated[
        str | None, option("--policy", "ADDRESS", "Address of the policy; the config's labeller.")
    ] = None,
) -> None:
    loaded = config_of(config, lake, name, seed, demo=demo)
    if policy is not None:
        loaded = loaded.model_copy(update={"labeller": policy})
    needs(loaded, "curated", "gog curate")
    work(loaded, ("label",), beam=beam)

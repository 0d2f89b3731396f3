"""The commands of one step each: together they make what `gog run` makes, and each says what must come first."""

import pytest
from calling import Gog, Place, contents

from gog.pipelines.lake.lake import Lake


def test_the_pipelines_one_at_a_time_come_to_the_same(gog: Gog, warm: Place, finished: Place) -> None:
    for step in (["ingest"], ["synthesize"], ["curate"], ["export", "sft"], ["label"], ["export", "rl"]):
        done = gog(*step, "-c", warm.config)
        assert done.code == 0, done.err
        assert "Funnel" in done.out
    assert "load_dataset" in done.out
    assert contents(warm.run) == contents(finished.run)
    manifest = Lake(warm.lake).read_manifest("tiny")
    assert manifest is not None
    assert manifest.state == "done"


@pytest.mark.parametrize(
    ("step", "first"),
    [
        (["synthesize"], "gog ingest"),
        (["curate"], "gog synthesize"),
        (["label"], "gog curate"),
        (["export", "sft"], "gog curate"),
        (["export", "rl"], "gog label"),
    ],
)
def test_a_pipeline_whose_input_is_not_there(gog: Gog, warm: Place, step: list[str], first: str) -> None:
    done = gog(*step, "-c", warm.config)
    assert done.code == 2
    assert first in done.error

"""One small run of the bundled world that several tests look at."""

import pytest
from runs import atlas

from gog.pipelines.config import Config
from gog.pipelines.run import run


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A finished run of 48 seeds in two shards. Nobody writes to its lake."""
    config = atlas(tmp_path_factory.mktemp("tiny") / "lake")
    run(config)
    return config

"""One small run of the bundled world that several tests look at."""

import pytest
from runs import atlas, shared_run

from gog.pipelines.config.config import Config


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A finished run of 48 seeds in two shards. Nobody writes to its lake."""
    return shared_run(atlas("tiny"), tmp_path_factory)

"""The bundled world for the planner's tests."""

import pytest
from playing import World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World.open(tmp_path_factory.mktemp("world"))

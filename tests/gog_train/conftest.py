"""What the tests of training share: one thread, tiny models, both backbones."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_models

from gog.transforms.backbones import BackboneName


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """The parallelism is in the processes; and one thread adds in one order."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    tiny_models.register()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session", params=list(BackboneName), ids=lambda name: name.value)
def backbone(request: pytest.FixtureRequest) -> BackboneName:
    """Both families."""
    return BackboneName(request.param)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[BackboneName, Path]:
    """Folder of a tiny checkpoint of each family. Nobody writes to them."""
    folder = tmp_path_factory.mktemp("checkpoints")
    return {name: tiny_models.checkpoint(name, folder / name.value) for name in BackboneName}

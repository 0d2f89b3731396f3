"""What the tests of training share: one thread, tiny models of both families, an export of a real run."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny_models
from families import CHATS, FAMILIES
from rolling import scripted
from runs import atlas, shared_run
from training import module_of, small, trl_export

from gog.pipelines.config.config import Config
from gog.transforms.atlas.world import atlas_world
from gog.transforms.dialect.backbones import BACKBONES, Backbone


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """The parallelism is in the processes; and one thread adds in one order."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    tiny_models.register()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session", params=FAMILIES)
def backbone(request: pytest.FixtureRequest) -> str:
    """Both families."""
    return str(request.param)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folder of a tiny checkpoint of each family. Nobody writes to them."""
    folder = tmp_path_factory.mktemp("checkpoints")
    return {name: tiny_models.checkpoint(name, folder / name) for name in FAMILIES}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A finished run of a few seeds."""
    return shared_run(atlas("tiny"), tmp_path_factory)


@pytest.fixture(scope="session")
def sft_exports(tiny: Config, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folder of the run's SFT export for each small backbone. Nobody writes to them."""
    folder = tmp_path_factory.mktemp("sft-exports")
    return {name: trl_export(tiny, "sft", small(name), folder) for name in FAMILIES}


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The backbones with small budgets, everywhere."""
    for name, backbone in [(name, small(name)) for name in FAMILIES]:
        monkeypatch.setattr(module_of(name), backbone)


@pytest.fixture
def small_backbone(_small: None, backbone: str) -> Backbone:
    """Both families with small budgets of pixels."""
    return BACKBONES[backbone]


@pytest.fixture(params=CHATS)
def chat_backbone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Backbone:
    """A small one of each kind of chat and processor."""
    monkeypatch.setattr(module_of(request.param), small(request.param))
    return BACKBONES[request.param]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the bundled world's indexes."""
    return atlas_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def acting(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int, int], str]], None]:
    """Scripts the policy of every training of the test."""
    from gog_train import episode_trainer

    def script(turns: Callable[[int, int], str]) -> None:
        made = scripted(episode_trainer.EpisodeTrainer)
        made.script = staticmethod(turns)
        monkeypatch.setattr(episode_trainer, "EpisodeTrainer", made)

    return script

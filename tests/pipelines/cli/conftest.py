"""The command line in this process, and one small finished run to look at."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from calling import Done, Gog, Place, place

from gog.pipelines.cli.main import call
from gog.pipelines.connect.services import close_stores


@pytest.fixture
def gog(capsys: pytest.CaptureFixture[str]) -> Iterator[Gog]:
    """Runs `gog` with these arguments."""

    def run(*args: object) -> Done:
        capsys.readouterr()
        code = call([str(arg) for arg in args])
        said = capsys.readouterr()
        return Done(code, said.out, said.err)

    yield run
    close_stores()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A finished run of eight seeds in two shards. Nobody writes to its lake."""
    made = place(tmp_path_factory.mktemp("finished"))
    assert call(["run", "--config", str(made.config)]) == 0
    close_stores()
    return made


@pytest.fixture
def copied(finished: Place, tmp_path: Path) -> Place:
    """The finished run, to be changed."""
    made = place(tmp_path)
    shutil.copytree(finished.lake, made.lake)
    return made


@pytest.fixture
def warm(finished: Place, tmp_path: Path) -> Place:
    """No run yet, but indexes and a store that answers all of it."""
    made = place(tmp_path)
    for part in ("indexes", "store"):
        shutil.copytree(finished.lake / part, made.lake / part)
    return made

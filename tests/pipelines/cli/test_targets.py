"""Which config, lake and run a command takes by itself, and what it says where there is none."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from calling import Gog, Place
from PIL import Image

SOURCE = {"kind": "jsonl", "path": "rows.jsonl", "dataset": "own", "image_root": "photos"}
MAPPING = {"question": "q", "answers": ["a"], "image": "i"}


def own_config(folder: Path, **keys: Any) -> Path:
    """A `gog.yaml` over two rows of the folder's own, with its index."""
    folder.mkdir(exist_ok=True)
    rows = [{"q": f"Which city is this, {n}?", "a": "Paris", "i": "a.png"} for n in range(2)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "photos").mkdir()
    Image.effect_noise((96, 96), 80).save(folder / "photos" / "a.png")
    for part in ("corpus", "gallery"):
        (folder / "index" / part).mkdir(parents=True)
    data = {"run": "own", "source": SOURCE | {"mapping": MAPPING}, "lake": "data"}
    data |= {"text_search": "corpus:index", "image_search": "gallery:index"}
    path = folder / "gog.yaml"
    path.write_text(yaml.safe_dump(data | keys))
    return path


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that the commands are typed in."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


class TestConfig:
    def test_gog_yaml_is_taken_by_itself_and_named(self, gog: Gog, here: Path) -> None:
        own_config(here)
        done = gog("plan")
        assert (done.code, done.error) == (0, "gog: with gog.yaml, which is here")
        assert "Run own: 2 rows" in done.out

    def test_demo_is_the_bundled_world_though_a_config_is_here(self, gog: Gog, here: Path) -> None:
        own_config(here)
        done = gog("plan", "--demo")
        assert (done.code, done.err) == (0, "")
        assert "Run atlas: 600 rows" in done.out
        assert "one of the two" in gog("plan", "--demo", "-c", "gog.yaml").error

    @pytest.mark.parametrize("command", ["run", "plan", "doctor", "preview", "ingest", "synthesize", "export sft"])
    def test_with_nothing_it_says_what_there_is_to_type(self, gog: Gog, here: Path, command: str) -> None:
        done = gog(*command.split())
        assert (done.code, done.out) == (2, "")
        for said in ("there is no gog.yaml here", "`gog init`", "-c FILE", "--demo"):
            assert said in done.error
        assert not list(here.iterdir())

    def test_configs_of_another_name_are_named(self, gog: Gog, here: Path) -> None:
        own_config(here).rename(here / "fvqa.yaml")
        (here / "other.yaml").write_text("services: {}")
        error = gog("plan").error
        assert "here is fvqa.yaml, and" in error
        assert "other.yaml" not in error
        assert "did you mean fvqa.yaml?" in gog("plan", "-c", "fvqa.yml").error

    def test_paths_are_relative_to_the_config(self, gog: Gog, here: Path, tmp_path: Path) -> None:
        own_config(tmp_path / "project")
        plans = []
        for name in ("../project/gog.yaml", str(tmp_path / "project" / "gog.yaml")):
            done = gog("plan", "--json", "-c", name)
            assert done.code == 0, done.err
            plans.append(json.loads(done.out))
        assert gog("ingest", "-c", "../project/gog.yaml").code == 0
        assert (tmp_path / "project" / "data" / "runs" / "own" / "manifest.json").exists()
        assert not list(here.iterdir())
        os.chdir(tmp_path / "project")
        assert gog("ingest").code == 0, "from its own folder it is the same run"
        moved = tmp_path / "moved"
        shutil.move(tmp_path / "project", moved)
        os.chdir(here)
        assert gog("ingest", "-c", moved / "gog.yaml").code == 0, "and it moves with its folder"
        done = gog("ingest", "--lake", moved / "data")
        assert (done.code, "the run 'own'" in done.error) == (0, True)

    def test_a_lake_on_the_command_line_is_relative_to_where_it_is_typed(
        self, gog: Gog, here: Path, tmp_path: Path
    ) -> None:
        own_config(tmp_path / "project")
        assert gog("ingest", "-c", "../project/gog.yaml", "--lake", "lake").code == 0
        assert (here / "lake" / "lake.json").exists()
        assert not (tmp_path / "project" / "data").exists()

    def test_a_file_that_is_not_there_names_what_is(self, gog: Gog, here: Path) -> None:
        own_config(here, source=SOURCE | {"mapping": MAPPING, "path": "row.jsonl"})
        assert "row.jsonl: no such file; did you mean rows.jsonl?" in gog("plan", "-c", "gog.yaml").error
        shutil.move(here / "gog.yaml", here / "a.yaml")
        own = yaml.safe_load((here / "a.yaml").read_text()) | {"source": SOURCE | {"mapping": MAPPING}}
        (here / "a.yaml").write_text(yaml.safe_dump(own | {"text_search": "corpus:indx"}))
        error = gog("plan", "-c", "a.yaml").error
        assert "there is no index in 'indx'" in error
        assert "did you mean index?" in error


class TestRuns:
    @pytest.fixture
    def lake(self, here: Path, finished: Place) -> Path:
        """The finished run in `./lake`."""
        return Path(shutil.copytree(finished.lake, here / "lake"))

    @pytest.mark.parametrize("command", ["plan", "export sft", "curate", "run --json"])
    def test_without_a_config_the_lakes_only_run_goes_on_as_it_was_made(
        self, gog: Gog, lake: Path, command: str
    ) -> None:
        done = gog(*command.split())
        assert done.code == 0, done.err
        assert f"gog: with the config that the run 'tiny' in {lake.name} was made with" in done.err

    def test_commands_that_look_need_no_config_and_take_the_run_of_gog_yaml(
        self, gog: Gog, here: Path, lake: Path
    ) -> None:
        for command in ("status", "report", 'inspect --json --sql "from funnel"'):
            assert gog(*[word.strip('"') for word in command.split(" ", 3)]).code == 0
        shutil.copytree(lake / "runs" / "tiny", lake / "runs" / "two")
        assert "several runs, name one with --run: tiny, two" in gog("report").error
        own_config(here, lake="lake", run="tiny")
        done = gog("report")
        assert (done.code, done.error) == (0, "gog: the run 'tiny' of gog.yaml; --run names another")

    def test_another_run_than_that_of_gog_yaml_goes_on_as_it_was_made(self, gog: Gog, here: Path, lake: Path) -> None:
        own_config(here, lake="lake")
        done = gog("curate", "--run", "tiny")
        assert (done.code, "the run 'tiny' in lake was made with" in done.err) == (0, True)

    def test_lakes_nearby_are_named(self, gog: Gog, here: Path, lake: Path) -> None:
        lake.rename(here / "data")
        done = gog("status")
        assert (done.code, "there is no lake at ./lake, but at data: name one" in done.error) == (2, True)
        assert "--lake" in done.error

"""`gog init`: the config that it writes."""

from pathlib import Path

from calling import Gog

from gog.pipelines.config.config import load_config
from gog.pipelines.config.sources import FileSource


class TestInit:
    def test_writes_a_config_that_parses_and_says_what_is_next(self, gog: Gog, tmp_path: Path) -> None:
        file = tmp_path / "gog.yaml"
        done = gog("init", file)
        assert done.code == 0
        assert "gog plan" in done.out
        assert isinstance(load_config(file).source, FileSource)
        assert file.read_text().count("#") > 20

    def test_keeps_what_is_there_unless_forced(self, gog: Gog, tmp_path: Path) -> None:
        file = tmp_path / "mine.yaml"
        file.write_text("mine")
        done = gog("init", file)
        assert done.code == 2
        assert "--force" in done.error
        assert file.read_text() == "mine"
        assert gog("init", file, "--force").code == 0
        assert load_config(file).run == "my-run"

    def test_atlas(self, gog: Gog, tmp_path: Path) -> None:
        assert gog("init", tmp_path / "a.yaml", "--atlas").code == 0
        assert load_config(tmp_path / "a.yaml").source.kind == "atlas"

    def test_a_folder_that_is_not_there(self, gog: Gog, tmp_path: Path) -> None:
        assert gog("init", tmp_path / "none" / "a.yaml").code == 2

"""`gog init`: the config that it writes."""

from pathlib import Path

import pytest
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

    def test_a_config_that_is_passed_over_is_told_of(
        self, gog: Gog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert gog("init").code == 0
        done = gog("plan")
        assert (done.code, "Run atlas" in done.out) == (0, True)
        assert done.error == "gog: this is the bundled world; for gog.yaml, which is here, add -c gog.yaml"
        assert "bundled world" not in gog("plan", "-c", "gog.yaml").error

    def test_a_folder_that_is_not_there(self, gog: Gog, tmp_path: Path) -> None:
        assert gog("init", tmp_path / "none" / "a.yaml").code == 2

import sys
from pathlib import Path

import pytest

from gog.pipelines.config.addresses import plugins_of
from gog.pipelines.config.config import Config, parse_config


def test_nothing_of_ours_is_a_plug_in() -> None:
    assert plugins_of(Config()) == {}
    assert plugins_of(parse_config({"filters": ["answer_in_question"], "episode": {"tools": ["gaze", "zoom"]}})) == {}


def test_a_filter_by_dotted_path_is_named_with_a_hash_of_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "named_filters.py").write_text("def no_memes(seed):\n    return None\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "named_filters", raising=False)
    ((name, origin),) = plugins_of(parse_config({"filters": ["named_filters:no_memes"]})).items()
    assert name == "filter named_filters:no_memes"
    module, digest = origin.split()
    assert module == "named_filters"
    assert len(digest) == 12

"""What of a config is said of a run."""

from typing import Any

import pytest

from gog.pipelines.config.config import Config
from gog.pipelines.show.settings import flat, settings_of, without_login


def config(**changes: Any) -> dict[str, Any]:
    return Config().model_dump(mode="json") | changes


def test_a_config_of_defaults_sets_nothing() -> None:
    assert settings_of(config(lake="elsewhere", run="other", folder="..")) == {}


def test_only_what_differs_is_there_by_dotted_key() -> None:
    changed = config(teacher="vllm:Qwen", label=Config().label.model_dump(mode="json") | {"k": 3})
    assert settings_of(changed) == {"teacher": "vllm:Qwen", "label.k": "3"}


def test_a_source_of_another_kind_is_there_without_its_empty_keys() -> None:
    source = {"kind": "csv", "path": "a.csv", "image_root": "", "limit": None, "mapping": {"answers": ["answers"]}}
    found = settings_of(config(source=source))
    assert found == {"source.kind": "csv", "source.path": "a.csv", "source.mapping.answers": '["answers"]'}


def test_a_config_of_an_older_version_and_of_none() -> None:
    assert settings_of({"key_of_old": 1}) == {"key_of_old": "1"}
    assert settings_of({}) == {}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:secret@host/v1#M", "https://…@host/v1#M"),
        ('["http://a:b@c","http://d"]', '["http://…@c","http://d"]'),
        ("http://host/v1?at=me@home", "http://host/v1?at=me@home"),
        ("me@home", "me@home"),
    ],
)
def test_logins_are_not_shown(text: str, shown: str) -> None:
    assert without_login(text) == shown


def test_flat_keeps_empty_sections_and_lists() -> None:
    assert dict(flat({"a": {"b": {}, "c": [1]}, "d": None})) == {"a.b": {}, "a.c": [1], "d": None}

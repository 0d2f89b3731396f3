"""How an extra is named, by what the distribution was installed from."""

import json
import shlex
from types import SimpleNamespace
from typing import Any

import pytest

from gog.transforms import extras


@pytest.mark.parametrize(
    ("noted", "wanted"),
    [
        (None, ["glance-or-gaze[pdf]"]),
        ({"url": "file:///home/a%20b/gog", "dir_info": {"editable": True}}, ["-e", "/home/a b/gog[pdf]"]),
        ({"url": "file:///home/gog", "dir_info": {}}, ["/home/gog[pdf]"]),
        (
            {"url": "file:///tmp/glance_or_gaze-0.1.0-py3-none-any.whl", "archive_info": {}},
            ["glance-or-gaze[pdf] @ file:///tmp/glance_or_gaze-0.1.0-py3-none-any.whl"],
        ),
        (
            {"url": "https://host.example/gog.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            ["glance-or-gaze[pdf] @ git+https://host.example/gog.git@abc"],
        ),
    ],
)
def test_an_extra_is_named_as_it_can_be_installed(
    monkeypatch: pytest.MonkeyPatch, noted: dict[str, Any] | None, wanted: list[str]
) -> None:
    text = None if noted is None else json.dumps(noted)
    monkeypatch.setattr(extras, "distribution", lambda name: SimpleNamespace(read_text=lambda file: text))
    assert shlex.split(extras.install("pdf")) == ["pip", "install", *wanted]


def test_a_note_that_cannot_be_read_is_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "distribution", lambda name: SimpleNamespace(read_text=lambda file: "{"))
    assert extras.install("pdf") == "pip install 'glance-or-gaze[pdf]'"

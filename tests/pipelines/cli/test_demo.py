"""`gog demo`: what it ends with."""

import shutil
import sys

import pytest
from calling import Gog, Place

from gog.pipelines.config.config import load_config


def test_demo_ends_with_a_picture_and_what_to_type_next(
    gog: Gog, finished: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gog.pipelines.cli import demo

    small = load_config(finished.config)
    monkeypatch.setattr(demo, "config_of", lambda *_, **__: small)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    done = gog("demo", "--lake", finished.lake)
    assert done.code == 0
    assert (finished.run / "example.png").read_bytes().startswith(b"\x89PNG")
    assert "example.png" in done.out
    for command in ("view", "inspect", "preview", "init"):
        assert f" {sys.argv[0]} {command}" in done.out  # as the one who typed it can type it again
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/gog")
    assert f"gog view --lake {finished.lake}\n" in gog("demo", "--lake", finished.lake).out

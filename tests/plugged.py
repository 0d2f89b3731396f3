"""A distribution with entry points, as an installer leaves it, for tests of what plug-ins add."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gog.transforms.open_set import OpenSet


def installed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, points: Mapping[str, Mapping[str, str]], **modules: str
) -> None:
    """Put the distribution `gog-test-plugin` 1.2 into a folder on the path: entry points by group, modules by name."""
    info = folder / "gog_test_plugin-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gog-test-plugin\nVersion: 1.2\n")
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {at}\n" for name, at in found.items()) for group, found in points.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(folder)


def look_again(members: OpenSet[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a set of ours see what is installed now, until the test ends; otherwise it looks once a process."""
    monkeypatch.setitem(vars(members), "_theirs", vars(OpenSet)["_theirs"].func(members))

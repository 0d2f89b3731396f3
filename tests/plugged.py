"""A distribution with entry points, as an installer leaves it, for tests of what plug-ins add."""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest


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

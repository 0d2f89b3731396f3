"""What the documents name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))
DOCUMENTS = ["CONTRIBUTING.md", "README.md", "CHANGELOG.md", *PAGES]
_FOLDERS = "schemas|prompts|transforms|pipelines|gog_train|face|examples|tests|notebooks|docs"
_PATH = re.compile(rf"`((?:{_FOLDERS})/[\w./-]*)`")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_paths_in_documents_exist(name: str) -> None:
    paths = {path for path in _PATH.findall((ROOT / name).read_text("utf-8")) if "NAME" not in path}
    assert {path for path in paths if not (ROOT / path).exists()} == set()


def test_make_targets_in_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for name in DOCUMENTS:
        for word in re.findall(r"^make ([a-z]+)|`make ([a-z]+)`", (ROOT / name).read_text("utf-8"), re.MULTILINE):
            assert "".join(word) in targets, (name, word)

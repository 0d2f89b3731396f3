"""What the documents name is there."""

import re
import tomllib
from pathlib import Path

import pytest

from gog.pipelines.export.formats import FORMATS
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.episode.tools import TOOLS
from gog.transforms.evaluate.benchmark import BENCHMARKS
from gog.transforms.filters.use import FILTERS
from gog.transforms.services.providers import PROVIDERS
from gog_train.rewards.terms import TERMS

ROOT = Path(__file__).parents[1]
PAGES = sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))
DOCUMENTS = ["CONTRIBUTING.md", "SECURITY.md", "README.md", "CHANGELOG.md", *PAGES]
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


def test_the_page_for_authors_of_plug_ins_has_every_set_with_its_example() -> None:
    page = (ROOT / "docs" / "extending.md").read_text("utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if "`gog." in line]
    rows = [row for row in rows if len(row) == 5]
    sets = (*PROVIDERS, TOOLS, FILTERS, TERMS, BACKBONES, BENCHMARKS, FORMATS)
    assert sorted(re.findall(r"`(gog\.\w+)`", " ".join(row[1] for row in rows))) == sorted(one.group for one in sets)
    project = tomllib.loads((ROOT / "examples" / "plugin" / "pyproject.toml").read_text("utf-8"))["project"]
    for row in rows:
        if found := re.fullmatch(r"`(examples/plugin/src/(gog_example/\w+)\.py)`", row[3]):
            assert (ROOT / found[1]).is_file()
            ((_, where),) = project["entry-points"][row[1].strip("`")].items()
            assert where.partition(":")[0] == found[2].replace("/", ".")
        else:
            assert row[3] == "likewise"
    assert sum(row[3] != "likewise" for row in rows) == len(project["entry-points"])

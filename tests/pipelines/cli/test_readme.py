"""The README, typed: its first own run from `gog init` on; every command is one; extras, pictures, links are there."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml
from calling import Gog

from gog.pipelines.cli.main import command_of

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
TYPED = [shlex.split(line, comments=True)[1:] for block in BLOCKS for line in block.splitlines() if line[:4] == "gog "]
MOST_BYTES = 150_000


def commands(first: str) -> list[list[str]]:
    """Of the block that begins with a command."""
    (block,) = [text for text in BLOCKS if text.startswith(first)]
    return [shlex.split(line, comments=True)[1:] for line in block.splitlines()]


@pytest.mark.parametrize("words", TYPED, ids=" ".join)
def test_every_command_is_one(words: list[str]) -> None:
    command, rest = command_of(words[0]), words[1:]
    while below := getattr(command, "commands", None):
        command, rest = below[rest[0]], rest[1:]
    command.make_context("gog", rest)  # raises on a flag that is none


def test_the_first_own_run_works_as_it_is_typed(gog: Gog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    init, *others = commands("gog init")
    assert gog(*init).code == 0
    config = yaml.safe_load(Path("gog.yaml").read_text("utf-8"))
    small = {"source": {"kind": "atlas", "count": 4}, "label": {"k": 1}}
    services = {"text_search": "corpus:atlas", "image_search": "gallery:atlas"}
    Path("gog.yaml").write_text(yaml.safe_dump(config | small | services), "utf-8")
    assert [words[0] for words in others] == ["ingest", "doctor", "plan", "preview", "run", "view", "report"]
    for words in others:
        if words != ["view"]:  # serves until Ctrl-C; its own tests have it in a browser
            done = gog(*words)
            assert done.code == 0, (words, done.out[-800:], done.err)
    assert list(Path().glob("**/report.html"))


def test_the_extras_that_it_names_are_there() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    found = re.search(
        r"\(also: ([^)]*) in one of its own\).*?^pip install './glance-or-gaze\[([^]]*)\]'$", TEXT, re.S | re.M
    )
    assert found
    named = set(re.findall(r"\w+", " ".join(found.groups())))
    assert {"pipelines", "search", "train"} <= named <= set(extras)


def test_its_pictures_are_there_and_small_and_their_licences_are_said() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\((docs/images/[^)]+)\)", TEXT)
    assert pictures[0] == "docs/images/photograph.jpg"
    licences = (ROOT / "docs" / "images" / "LICENSES.txt").read_text("utf-8")
    for picture in pictures:
        assert (ROOT / picture).stat().st_size < MOST_BYTES
        assert f"`{Path(picture).name}`" in licences


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)", TEXT):
        assert target.startswith("https://") or (ROOT / target).exists(), target

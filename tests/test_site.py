"""The documentation site: it builds without a warning, loads nothing from elsewhere, and its reference is complete."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import chromium
from playwright.sync_api import expect
from reference import pages

from gog.pipelines.cli.main import COMMANDS, command_of
from gog.pipelines.config.config import Config
from gog.pipelines.views.macros import TABLE_MACROS, VALUE_MACROS
from gog.pipelines.views.queries import QUERIES
from gog.schemas import REASONS, TABLES, FailureClass

ROOT = Path(__file__).parents[1]


def build(root: Path, site: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=200, check=False, env=env)


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return pages()


def test_builds_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    done = build(ROOT, tmp_path / "site")
    assert done.returncode == 0, done.stderr
    found = sorted((tmp_path / "site").rglob("*.html"))
    assert len(found) >= 15
    for path in found:
        text = path.read_text("utf-8")
        for tag in re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*>", text):
            assert not re.search(r'(?:src|href)="(?:https?:)?//', tag), (path.name, tag)
        assert re.search(r'role="dialog" aria-label="Search"', text), path.name
    assert not list((tmp_path / "site").rglob("*.py"))


def test_search_works_from_the_disk_and_asks_nobody(tmp_path: Path) -> None:
    done = small_site("Glance, then gaze at the zeppelin.", tmp_path, theme="material")
    assert done.returncode == 0, done.stderr
    with chromium() as browser:
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto((tmp_path / "site" / "start.html").as_uri())
        page.get_by_role("textbox", name="Search").fill("zeppelin")
        expect(page.locator(".md-search-result__item a").first).to_contain_text("Home")
    assert [url for url in asked if not url.startswith("file://")] == []


@pytest.mark.parametrize(
    "text",
    ["[gone](gone.md)", "[gone](start.md#no-such-heading)", "[gone](../no_such_file.py)", "![gone](images/gone.png)"],
)
def test_a_broken_link_is_an_error(text: str, tmp_path: Path) -> None:
    done = small_site(text, tmp_path)
    assert done.returncode != 0
    assert re.search("no.such|gone", done.stderr)


def test_links_that_are_whole_are_none(tmp_path: Path) -> None:
    done = small_site("[fine](start.md#start), [settings](../mkdocs.yml)", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "<code>mkdocs.yml</code>" in (tmp_path / "site" / "index.html").read_text("utf-8")


def small_site(text: str, tmp_path: Path, theme: str = "mkdocs") -> "subprocess.CompletedProcess[str]":
    """A site of two pages with the settings of ours; the first page says `text`."""
    (tmp_path / "docs").mkdir()
    for name in ("hooks.py", "reference.py"):
        (tmp_path / "docs" / name).write_text((ROOT / "docs" / name).read_text("utf-8"))
    (tmp_path / "docs" / "start.md").write_text("# Start\n")
    (tmp_path / "docs" / "sources.md").write_text("# Sources\n")  # the reference names it
    (tmp_path / "docs" / "index.md").write_text(f"# Home\n\n{text}\n")
    settings = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[0]
    shutil.copytree(ROOT / "docs" / "javascripts", tmp_path / "docs" / "javascripts")
    (tmp_path / "mkdocs.yml").write_text(settings.replace("name: material", f"name: {theme}") + "\n")
    return build(tmp_path, tmp_path / "site")


def test_every_command_is_there(made: dict[str, str]) -> None:
    text = made["reference/commands.md"]
    for command in ("run", "report", "inspect", "export", "store stats", "eval", "eval compare", "index build"):
        assert f"## gog {command}\n" in text
        assert f"Usage: gog {command} " in text
    assert text.count("## gog") == text.count("Usage: gog")


def test_every_key_of_the_config_is_there(made: dict[str, str]) -> None:
    text = made["reference/config.md"]
    for key in Config.model_fields:
        assert f"| `{key}` |" in text or f"## {key}" in text, key
    assert "| `max_cost` | number or null | `null` | US dollars. |" in text
    assert "| `question` |" in text.partition("## mapping")[2]


def test_no_row_of_the_reference_has_a_blank_cell(made: dict[str, str]) -> None:
    for page, least in (("config", 200), ("tables", 200), ("reasons", 60)):
        rows = [line for line in made[f"reference/{page}.md"].splitlines() if line.startswith("| `")]
        assert len(rows) > least, page
        assert [row for row in rows if re.search(r"\|\s*\|", row)] == []


def test_no_flag_is_left_without_a_word() -> None:
    def silent(command: Any, path: str) -> Iterator[str]:
        yield from (f"{path} {option.name}" for option in command.params if not option.help)
        for name, below in getattr(command, "commands", {}).items():
            yield from silent(below, f"{path} {name}")

    assert [flag for name in COMMANDS for flag in silent(command_of(name), name)] == []


def test_every_column_macro_and_reason_is_there(made: dict[str, str]) -> None:
    text = made["reference/tables.md"]
    for table, record in TABLES.items():
        section = text.partition(f"### {'stage_counts' if table == 'funnel' else table}\n")[2].partition("\n### ")[0]
        assert all(f"| `{column}` |" in section for column in record.model_fields), table
    assert all(f"### {name}\n" in text for name in QUERIES)
    assert all(f"`{name}(" in text for name in [*TABLE_MACROS, *VALUE_MACROS])
    for code in [*REASONS, *FailureClass]:
        assert f"| `{code}` |" in made["reference/reasons.md"]


def test_the_navigation_has_every_page() -> None:
    named = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[2]))
    there = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert there - named == set()

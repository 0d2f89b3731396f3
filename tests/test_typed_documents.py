"""What the documents tell to type is taken by what it is typed into.

Every command of ours in a page goes through the parser of the command line, settings of a training through theirs,
Python is compiled and its names of ours are looked up, and YAML is read as a config. `tests/runners`,
`tests/end_to_end/test_python_page.py` and `test_merge_page.py` run whole pages.
"""

import ast
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

import gog
from gog.pipelines.cli.main import COMMANDS, command_of
from gog.pipelines.config.config import Config, parse_config
from gog_train.grpo_settings import GrpoSettings
from gog_train.settings import read_settings
from gog_train.sft import SftSettings

ROOT = Path(__file__).parents[1]
PAGES = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))]
PAGES += ["README.md", "SECURITY.md", "CONTRIBUTING.md", "examples/README.md"]
_BARE = ("bench/moved", "index", "protocols", "python")
WITHOUT_COMMANDS = {"CONTRIBUTING.md", *(f"docs/{name}.md" for name in _BARE)}
"""Pages that name no command of ours; `make` is looked after in test_documents.py."""
STAGES: dict[str, Any] = {"sft": SftSettings, "grpo": GrpoSettings}

_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PROSE = re.compile(r"\s{3,}|\s+#\s|\s+\|\s")
"""What ends a command in a line: columns of a listing, a comment, a pipe or an alternative."""
_OURS = re.compile(r"(?:\w+=\S+ )*(?:\S*/)?(gog|python3? -m gog_train\.(?:sft|grpo|check)) (.+)")


def fences(page: str, *languages: str) -> list[str]:
    return [body for language, body in _FENCE.findall((ROOT / page).read_text("utf-8")) if language in languages]


def typed(page: str) -> list[tuple[str, list[str]]]:
    """Program and words of each command of ours that stands in a block of the page."""
    blocks = [re.sub(r"\\\n\s*", "", block) for block in fences(page, "", "bash", "sh")]
    whole = [re.sub(r'"[^"]*"', lambda quoted: " ".join(quoted[0].split()), block) for block in blocks]
    lines = "\n".join(whole).splitlines()
    found = [match for line in lines if (match := _OURS.fullmatch(line.rstrip()))]
    return [(match[1], _words(match[2])) for match in found if not match[2].startswith(("COMMAND", ": "))]


def _words(text: str) -> list[str]:
    return [word for word in shlex.split(_PROSE.split(text)[0]) if word != "..."]


def mentioned(page: str) -> list[list[str]]:
    """Words of each command that the page names within a sentence; values may be left out there."""
    text = _FENCE.sub("", (ROOT / page).read_text("utf-8"))
    found = re.findall(r"`gog ([^`]+)`", text)
    return [shlex.split(_PROSE.split(words)[0]) for words in found if re.match(r"[a-z-]+\b", words)]


def parse(words: list[str]) -> None:
    """Raises what the parser of the command line, or of a training's settings, says of them."""
    if words in (["--version"], ["--help"]):
        return
    command, rest, path = _resolved(words)
    behind = rest.index("--") if "--" in rest else len(rest)
    command.make_context(path, list(rest[:behind] if path != "train" else rest), resilient_parsing=False)
    if path == "train" and behind < len(rest):
        config = [word for key, word in pairwise(rest) if key in ("-c", "--config")]
        read_settings(STAGES[rest[0]], ["--config", config[0], *rest[behind + 1 :]], "gog_train", "")


def _resolved(words: list[str]) -> tuple[Any, list[str], str]:
    assert words[0] in COMMANDS, f"there is no `gog {words[0]}`"
    command, rest, path = command_of(words[0]), words[1:], words[0]
    while rest and (below := getattr(command, "commands", {}).get(rest[0])):
        command, rest, path = below, rest[1:], f"{path} {rest[0]}"
    assert not (rest and hasattr(command, "commands") and rest[0].isalpha()), f"there is no `gog {path} {rest[0]}`"
    return command, rest, path


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_those_that_there_are(page: str) -> None:
    commands, names = typed(page), mentioned(page)
    assert bool(commands or names) == (page not in WITHOUT_COMMANDS), "see WITHOUT_COMMANDS"
    for program, words in commands:
        try:
            if program == "gog":
                parse([word for word in words if word not in ("-v", "-vv")])
            else:
                stage = program.rpartition(".")[2]
                read_settings(STAGES[words.pop(0) if stage == "check" else stage], words, program, "")
        except Exception as error:
            pytest.fail(f"{page}: {program} {' '.join(words)}: {error}")


@pytest.mark.parametrize("page", PAGES)
def test_options_in_sentences_are_those_that_there_are(page: str) -> None:
    for words in mentioned(page):
        if words[0].startswith("-"):
            continue
        command, rest, path = _resolved([word for word in words if word != "..."])
        known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
        upto = rest[: rest.index("--")] if "--" in rest else rest
        given = {word.partition("=")[0] for word in upto if word.startswith("-") and len(word) > 1}
        assert given <= known | {"-h", "--help"}, f"{page}: gog {path}"


@pytest.mark.parametrize("page", [page for page in PAGES if fences(page, "python")])
def test_python_compiles_and_names_what_there_is(page: str) -> None:
    for block in fences(page, "python"):
        for name in _names_of_ours(ast.parse(block)):
            module, _, attribute = name.partition(":")
            assert hasattr(import_module(module), attribute), f"{page}: {name}"


def _names_of_ours(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("gog", "gog_train"):
            yield from (f"{node.module}:{alias.name}" for alias in node.names)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == gog.__name__:
            yield f"gog:{node.attr}"


@pytest.mark.parametrize("page", [page for page in PAGES if fences(page, "yaml")])
def test_yaml_is_a_config(page: str) -> None:
    for block in fences(page, "yaml"):
        values = yaml.safe_load(block)
        if values.keys() <= Config.model_fields.keys():
            parse_config(values, page)
        else:
            assert values.keys() <= GrpoSettings.model_fields.keys(), f"{page}: {block}"


@pytest.mark.parametrize("words", ["run --no-such", "export sft --form trl extra", "docter", "store exprot x"])
def test_what_does_not_exist_is_noticed(words: str) -> None:
    with pytest.raises(Exception, match=r"No such option|unexpected extra|there is no"):
        parse(words.split())

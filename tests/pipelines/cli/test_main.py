"""Help, versions, and wrong use: what somebody sees who does not know the commands yet."""

import subprocess
import sys
from typing import Any

import pytest
from calling import Gog
from typer.core import TyperGroup

from gog.pipelines.cli.main import COMMANDS, command_of


def commands() -> list[tuple[str, ...]]:
    """All commands, those of groups with their group."""
    found: list[tuple[str, ...]] = []

    def walk(command: Any, path: tuple[str, ...]) -> None:
        if isinstance(command, TyperGroup):
            for name, below in command.commands.items():
                walk(below, (*path, name))
        else:
            found.append(path)

    for name in COMMANDS:
        walk(command_of(name), (name,))
    return found


def test_the_list_says_of_each_command_what_its_own_help_begins_with(gog: Gog) -> None:
    listed = gog("--help").out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    for name, line in zip(COMMANDS, listed, strict=True):
        assert (command_of(name).help or "").partition("\n")[0] == line.split(maxsplit=1)[1]


WANTED = {
    *("init", "doctor", "plan", "preview", "run", "demo", "ingest", "synthesize", "curate", "label", "export"),
    *("status", "retry", "inspect", "report", "index", "store", "serve-planner", "serve-tools", "eval", "train"),
}


def test_all_commands_are_there() -> None:
    assert {path[0] for path in commands()} >= WANTED


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_help_has_an_example_and_fits_80_columns(gog: Gog, path: tuple[str, ...]) -> None:
    done = gog(*path, "--help")
    assert (done.code, done.err) == (0, "")
    assert max(map(len, done.out.splitlines())) <= 80
    assert f"  gog {' '.join(path)}" in done.out.partition("Example")[2]
    assert "..." not in done.out.partition("Options:")[2].replace("[OPTIONS]...", "").partition("Example")[0]


def test_the_list_of_commands_has_whole_sentences(gog: Gog) -> None:
    out = gog("--help").out
    lines = out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert len(lines) == len({path[0] for path in commands()})
    assert all(line.endswith(".") and not line.endswith("...") for line in lines)
    assert max(map(len, out.splitlines())) <= 80


def test_version(gog: Gog) -> None:
    done = gog("--version")
    assert done.code == 0
    assert done.out.startswith("gog 0.")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["runn"], "run"),
        (["run", "--confg", "x"], "--config"),
        (["run", "--accept", "0"], "accept"),
        (["export"], "kind"),
        (["export", "dpo"], "there are two exports: sft and rl"),
        (["retry"], "--reason"),
        (["index", "build"], "--images"),
        (["preview", "-n", "none"], "-n"),
        (["run", "--demo", "--", "flink"], "--name=value"),
        (["run", "--seed", "many"], "--seed"),
    ],
)
def test_wrong_use_is_told_in_one_line_with_exit_code_2(gog: Gog, args: list[str], said: str) -> None:
    done = gog(*args)
    assert done.code == 2
    assert said in done.error.lower()
    assert done.out == ""


@pytest.mark.parametrize("group", [(), ("index",), ("store",), ("review",)], ids=" ".join)
def test_without_a_command_the_help_is_shown_as_it_is_with_help(gog: Gog, group: tuple[str, ...]) -> None:
    done = gog(*group)
    assert (done.code, done.out) == (2, "")
    assert done.err == gog(*group, "--help").out


def test_the_commands_are_listed_in_the_order_in_which_they_are_needed(gog: Gog) -> None:
    listed = [
        line.split()[0] for line in gog("--help").out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    ]
    assert listed == list(COMMANDS)


_START = """
import sys
from gog.pipelines.cli import main
code = main.call(sys.argv[1:]) if sys.argv[1:] else 0
print("LOADED", *sorted({name.partition(".")[0] for name in sys.modules}))
"""
HEAVY = {
    *("aiohttp", "apache_beam", "datasets", "duckdb", "jsonschema", "numpy", "PIL", "pyarrow", "rich", "scipy"),
    "yaml",
}


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--version"],
        ["--help"],
        ["docter"],
        ["--verison"],
        *([name, "--help"] for name in ("run", "store", "view")),
    ],
    ids=" ".join,
)
def test_help_and_typos_load_nothing_of_the_engine(args: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", _START, *args], capture_output=True, text=True, timeout=60, check=True)
    loaded = done.stdout.splitlines()[-1].split()
    assert loaded[0] == "LOADED"
    assert HEAVY & set(loaded) == set()

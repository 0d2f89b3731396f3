"""`import gog`: every name it offers is there, is what its checker is told, and costs nothing before it is used."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import gog

ROOT = Path(__file__).parents[2]


def imports_for_types() -> dict[str, str]:
    """What type checkers are told: name to module."""
    tree = ast.parse((ROOT / "face" / "__init__.py").read_text("utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    froms = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in froms for alias in node.names}


def test_every_name_is_there_and_is_what_type_checkers_are_told() -> None:
    told = imports_for_types()
    assert {*told, "__version__"} == set(gog.__all__)
    for name, module in told.items():
        assert getattr(gog, name) is getattr(import_module(module), name), name
    assert set(gog.__all__) <= set(dir(gog))


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'gog' has no attribute 'lod_config'"):
        gog.lod_config  # noqa: B018


def test_the_import_alone_loads_none_of_our_modules() -> None:
    code = "import sys, gog; print([name for name in sys.modules if name.startswith('gog')])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "['gog']"


@pytest.mark.parametrize("name", ["Seed", "load_config", "open_run", "UnknownMemberError"])
def test_beam_is_loaded_by_what_runs_alone(name: str) -> None:
    code = f"import sys, gog; gog.{name}; print('apache_beam' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"

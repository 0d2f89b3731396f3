"""Who may import whom: rules read off the source, and what imports really load."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("schemas", "prompts", "transforms", "pipelines", "gog_train", "face")
HEAVY = ("apache_beam", "torch", "pyarrow", "datasets", "duckdb", "transformers", "trl")

MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "gog.schemas": ("gog.schemas",),
    "gog.prompts": ("gog.prompts",),
    "gog.transforms": ("gog.schemas", "gog.prompts", "gog.transforms"),
    "gog.pipelines": ("gog.schemas", "gog.prompts", "gog.transforms", "gog.pipelines"),
    "gog_train": ("gog.schemas", "gog.prompts", "gog.transforms", "gog_train"),
    "gog": ("gog.schemas", "gog.transforms", "gog.pipelines"),
}
"""Absolute: no import in a function or under TYPE_CHECKING goes around it."""

BEAM = ("gog.transforms.beam", "gog.pipelines")
"""The only places that may import Beam."""

NEEDS_ARROW = ("gog.schemas.arrow", "gog.transforms.sources.parquet_format", "gog.transforms.part_file")
"""Modules elsewhere that need the `pipelines` extra, and say so."""


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] in ("__init__", "__main__") else parts)
    return {"gog_train": name, "face": "gog"}.get(parts[0], f"gog.{name}")


def _within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


NEEDS_VERL = ("gog_train.verl.agent_loop", "gog_train.verl.sampler")
"""What verl itself imports, in an environment of its own."""

FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
MODULES = sorted({_module(path) for path in FILES})
CORE = [name for name in MODULES if not _within(name, *BEAM, *NEEDS_ARROW, "gog_train")]
GOG = [name for name in MODULES if _within(name, "gog")]
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))


def _imports(tree: ast.AST, module: str, is_package: bool) -> Iterator[tuple[str, bool]]:
    """Every imported name, in full, and whether it is imported as soon as the module is."""
    lazy = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        now = id(node) not in lazy
        match node:
            case ast.Import(names=names):
                yield from ((alias.name, now) for alias in names)
            case ast.ImportFrom(module=source, names=names, level=level):
                parts = module.split(".")
                keep = len(parts) - level + is_package
                base = ".".join(parts[:keep]) if level else ""
                full = ".".join(part for part in (base, source) if part)
                yield from ((f"{full}.{alias.name}", now) for alias in names)
            case ast.Call(func=ast.Name(id="import_module" | "__import__"), args=[ast.Constant(value=str(name)), *_]):
                yield name, now
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name)), *_]):
                yield name, now


@cache
def _imports_of(path: Path) -> tuple[tuple[str, bool], ...]:
    tree = ast.parse(path.read_text("utf-8"))
    return tuple(_imports(tree, _module(path), path.name in ("__init__.py", "__main__.py")))


@each_file
def test_rule_parts_import_only_what_they_may(path: Path) -> None:
    part = next(name for name in MAY_IMPORT if _within(_module(path), name))
    ours = {name for name, _ in _imports_of(path) if _within(name, "gog", "gog_train")}
    assert not {name for name in ours if not _within(name, *MAY_IMPORT[part])}


def _children(name: str, other: str) -> tuple[str, str, str] | None:
    """The package that two modules share, and the child of it that each is in; None where one holds the other."""
    mine, theirs = name.split("."), other.split(".")
    shared = next((i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), None)
    return None if shared is None else (".".join(mine[:shared]), mine[shared], theirs[shared])


def test_rule_no_folder_imports_in_a_circle_with_another() -> None:
    """At any depth, between folders, and between a folder and a module that stands beside it."""
    graphs: dict[str, dict[str, set[str]]] = {}
    for path in FILES:
        for name, _ in _imports_of(path):
            target = name if name in MODULES else name.rpartition(".")[0]
            if target in MODULES and (children := _children(_module(path), target)):
                package, mine, theirs = children
                graphs.setdefault(package, {}).setdefault(mine, set()).add(theirs)
    assert len(graphs) > 20
    for graph in graphs.values():
        TopologicalSorter(graph).prepare()  # a CycleError names the circle


@each_file
def test_rule_the_bare_folder_names_are_not_modules(path: Path) -> None:
    assert not {name for name, _ in _imports_of(path) if _within(name, *FOLDERS[:4])}


@each_file
def test_rule_beam_stays_in_its_places(path: Path) -> None:
    if not _within(_module(path), *BEAM):
        names = {name for name, _ in _imports_of(path)}
        assert not {name for name in names if _within(name, "apache_beam", "gog.transforms.beam")}


@each_file
def test_rule_torch_is_never_loaded_with_a_module_of_the_engine(path: Path) -> None:
    if not _within(_module(path), "gog_train"):
        assert not {name for name, now in _imports_of(path) if now and _within(name, "torch", "transformers", "trl")}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import gog.pipelines.cli", {("gog.pipelines.cli", True)}),
        ("def f():\n    from gog import pipelines", {("gog.pipelines", False)}),
        ("from ..pipelines import cli", {("gog.pipelines.cli", True)}),
        ("from . import x", {("gog.transforms.x", True)}),
        ("import importlib\nimportlib.import_module('torch')", {("importlib", True), ("torch", True)}),
        ("if TYPE_CHECKING:\n    import torch.nn", {("torch.nn", True)}),
    ],
)
def test_rule_reader_sees_every_kind_of_import(source: str, names: set[tuple[str, bool]]) -> None:
    assert set(_imports(ast.parse(source), "gog.transforms.y", is_package=False)) == names


def test_rule_modules_are_found_on_disk() -> None:
    assert {"gog.schemas.records", "gog.transforms.services.protocols", "gog_train"} <= set(MODULES)
    assert not _within("gog.transforms.beamer", *BEAM)


_PROBE = """
import importlib, json, sys
heavy = sys.argv[1].split(",")
loaded, report = set(), {}
for name in sys.argv[2:]:
    importlib.import_module(name)
    new = {h for h in heavy if h in sys.modules} - loaded
    loaded |= new
    report[name] = sorted(new)
print("REPORT" + json.dumps(report))
"""


def _loads(modules: list[str], heavy: tuple[str, ...] = HEAVY) -> dict[str, list[str]]:
    """Which heavy package each module is the first to load, all imported in one fresh interpreter."""
    command = [sys.executable, "-W", "ignore", "-c", _PROBE, ",".join(heavy), *modules]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    report: dict[str, list[str]] = json.loads(result.stdout.split("REPORT")[-1])
    return report


def test_the_core_loads_nothing_heavy() -> None:
    assert {name: heavy for name, heavy in _loads(CORE).items() if heavy} == {}


def test_a_call_starts_without_what_few_calls_need() -> None:
    services = "gog.transforms.services"
    modules = [f"{services}.gateway.gateway", f"{services}.models.chat", f"{services}.store.sqlite"]
    rarely = ("numpy", "imagehash", "jsonschema", "tenacity", "psycopg", *HEAVY)
    assert {name: heavy for name, heavy in _loads(modules, rarely).items() if heavy} == {}


def test_the_engine_imports_without_torch() -> None:
    unwanted = {"torch", "transformers", "trl"}
    assert {name: heavy for name, heavy in _loads(GOG).items() if unwanted & set(heavy)} == {}


def test_training_imports_without_beam() -> None:
    modules = [name for name in MODULES if _within(name, "gog_train") and not _within(name, *NEEDS_VERL)]
    assert {name: heavy for name, heavy in _loads(modules).items() if "apache_beam" in heavy} == {}

"""What is installed for what: a light base that training shares, and no Beam beside a GPU."""

import ast
import json
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
NEED_ARROW = ("schemas/arrow.py", "transforms/sources/parquet_format.py", "transforms/part_file.py")
"""Modules outside of Beam's places that need the extra `pipelines`, and say so."""
NEED_VERL = ("gog_train/verl/agent_loop.py", "gog_train/verl/sampler.py")
"""What verl itself imports, in an environment of its own."""
GPU_PINS = ROOT / "gog_train" / "constraints-gpu.txt"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def _pins(path: Path) -> dict[str, SpecifierSet]:
    lines = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    requirements = [Requirement(line) for line in lines if line]
    return {canonicalize_name(r.name): r.specifier for r in requirements}


def _applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""})


@cache
def _closure(*extras: str) -> dict[str, list[Requirement]]:
    """All that the project requires with some extras, by package, read off what is installed here.

    A package that is not installed here ends its branch: the test marked `network` asks an index instead.
    """
    todo = [Requirement(line) for line in PROJECT["dependencies"]]
    todo += [Requirement(line) for extra in extras for line in EXTRAS[extra]]
    found: dict[str, list[Requirement]] = {}
    walked: set[tuple[str, frozenset[str]]] = set()
    while todo:
        requirement = todo.pop()
        name, wanted = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if name == "glance-or-gaze":
            todo += [Requirement(line) for extra in wanted for line in EXTRAS[extra]]
            continue
        found.setdefault(name, []).append(requirement)
        if (name, wanted) in walked:
            continue
        walked.add((name, wanted))
        try:
            needs = distribution(requirement.name).requires or []
        except PackageNotFoundError:
            continue
        todo += [r for r in map(Requirement, needs) if _applies(r, wanted)]
    return found


@pytest.mark.parametrize("extras", [(), ("train",), ("detect",)], ids=["base", "train", "detect"])
def test_there_is_no_beam_without_pipelines(extras: tuple[str, ...]) -> None:
    assert "apache-beam" not in _closure(*extras)


def test_the_walk_finds_beam_where_it_is() -> None:
    closure = _closure("pipelines")
    assert {"apache-beam", "pillow", "protobuf", "pyarrow"} <= set(closure)
    assert any(r.specifier.contains("13.0") is False for r in closure["pillow"]), "Beam caps pillow itself"
    assert set(_closure("pipelines")) <= set(_closure("dev"))


def test_the_base_admits_the_gpu_pins() -> None:
    pins = _pins(GPU_PINS)
    assert pins["pillow"].contains("13.0.0")
    assert not pins["pillow"].contains("12.9")
    least = {name: next(iter(specifier)).version for name, specifier in pins.items()}
    for name, requirements in (_closure() | _closure("train")).items():
        for requirement in requirements:
            if name in least:
                assert requirement.specifier.contains(least[name]), f"{requirement} refuses {name} {least[name]}"


def test_the_pins_admit_each_other_and_the_extras() -> None:
    pins = _pins(ROOT / "constraints.txt")
    for name, requirements in _closure("dev").items():
        assert name in pins, f"{name} is not pinned: make pins"
        pin = next(iter(pins[name]))
        assert pin.operator == "==", name
        for requirement in requirements:
            assert requirement.specifier.contains(Version(pin.version), prereleases=True), f"{requirement}: {pin}"


def test_each_gpu_package_of_the_extra_is_pinned() -> None:
    wanted = {canonicalize_name(Requirement(line).name) for line in EXTRAS["train"]}
    assert wanted <= set(_pins(GPU_PINS))


def _top_level_imports(path: Path) -> set[str]:
    """First parts of the names that a module imports as soon as it is imported."""
    found: set[str] = set()
    todo: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while todo:
        match todo.pop():
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                pass
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=orelse):
                todo += orelse
            case ast.Import(names=names):
                found |= {alias.name.partition(".")[0] for alias in names}
            case ast.ImportFrom(module=str(name), level=0):
                found.add(name.partition(".")[0])
            case node:
                todo += ast.iter_child_nodes(node)
    return found - set(sys.stdlib_module_names) - {"gog", "gog_train"}


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("schemas", ()),
        ("prompts", ()),
        ("transforms", ()),
        ("transforms/beam", ("pipelines",)),
        ("pipelines", ("pipelines",)),
        ("gog_train", ("train",)),
    ],
)
def test_modules_import_only_what_their_install_has(folder: str, extras: tuple[str, ...]) -> None:
    """With the base alone the core can be imported."""
    available = set(_closure(*extras))
    installed = packages_distributions()
    for path in sorted((ROOT / folder).rglob("*.py")):
        relative = path.relative_to(ROOT).as_posix()
        if relative in (*NEED_ARROW, *NEED_VERL) or (
            folder == "transforms" and relative.startswith("transforms/beam/")
        ):
            continue
        for name in _top_level_imports(path):
            owners = {canonicalize_name(owner) for owner in installed.get(name, [name])}
            assert owners & available, f"{relative} imports {name}, which is not in {extras or 'the base'}"


@pytest.mark.network
@pytest.mark.parametrize(
    "targets", [(".",), (".[train]",), (".[train]", "torchvision", "vllm")], ids=["base", "train", "gpu"]
)
def test_an_index_resolves_the_gpu_pins_without_beam(targets: tuple[str, ...], tmp_path: Path) -> None:
    """Nothing is installed; where an index serves metadata by itself, a recent pip downloads nothing large."""
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
    command += ["--report", str(report), "-c", str(GPU_PINS), *targets]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    found: dict[str, str] = {
        canonicalize_name(item["metadata"]["name"]): item["metadata"]["version"]
        for item in json.loads(report.read_text("utf-8"))["install"]
    }
    assert "apache-beam" not in found
    assert Version(found["pillow"]) >= Version("13")
    pins = _pins(GPU_PINS)
    assert "vllm" not in targets or set(pins) <= set(found), "every pin is of something that is installed"
    for name in pins.keys() & found.keys():
        assert pins[name].contains(Version(found[name]).public), f"{name} {found[name]}"

"""What is installed is known by hash, what builds it by version, what runs in the workflow by commit."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = ("build", "pipelines", "dev", "detect")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]


def lock_of(name: str) -> dict[str, Requirement]:
    """The pins of a file of hashes, each of which has some; whatever else is in it fails."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    pins: dict[str, Requirement] = {}
    for block in re.split(r"\n(?=\S)", "\n".join(lines)):
        pin, *hashes = block.split(" \\\n")
        requirement = Requirement(pin)
        assert hashes, f"{pin} has no hash"
        assert all(HASH.fullmatch(line) for line in hashes), block
        assert len(set(hashes)) == len(hashes)
        assert canonicalize_name(requirement.name) not in pins, f"{pin} stands twice"
        pins[canonicalize_name(requirement.name)] = requirement
    return pins


def needed(*extras: str) -> list[Requirement]:
    """What the project itself asks for."""
    lines = [*PROJECT["project"]["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    found = [Requirement(line) for line in lines]
    own = [extra for one in found if one.name == "glance-or-gaze" for extra in one.extras]
    return [one for one in found if one.name != "glance-or-gaze"] + (needed(*own) if own else [])


@pytest.mark.parametrize("name", LOCKS)
def test_each_line_is_a_version_with_hashes(name: str) -> None:
    pins = lock_of(name)
    assert len(pins) >= 8
    assert all(re.fullmatch(r"==[^*,]+", str(pin.specifier)) for pin in pins.values())


def test_the_hashes_are_those_of_what_constraints_pin() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pinned: dict[str, SpecifierSet] = {
        canonicalize_name(r.name): r.specifier for r in map(Requirement, (x for x in lines if x[:1] != "#"))
    }
    dev = lock_of("dev")
    assert pinned.keys() <= dev.keys(), "make locks"
    for name in LOCKS:
        for package, pin in lock_of(name).items():
            assert pinned.get(package, pin.specifier) == pin.specifier, f"{name}: {pin}; make locks"


@pytest.mark.parametrize(
    ("name", "extras"), [("pipelines", ("pipelines",)), ("dev", ("dev",)), ("detect", ("dev", "detect"))]
)
def test_what_an_extra_asks_for_has_a_hash(name: str, extras: tuple[str, ...]) -> None:
    pins = lock_of(name)
    for requirement in needed(*extras):
        pin = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(str(pin.specifier).removeprefix("==")), (
            f"{requirement}: {pin}; make locks"
        )


def test_other_platforms_are_there() -> None:
    """What has wheels for each platform has a hash for each; what is for one alone says so."""
    text = (ROOT / "requirements" / "dev.txt").read_text("utf-8")
    numpy = text[text.index("\nnumpy==") :].split("\n\n")[0].split("\n")[2:]
    assert sum(1 for _ in (line for line in numpy[:40] if HASH.match(line))) > 20
    assert str(lock_of("dev")["triton"].marker).count("linux") == 1


def test_the_build_backend_is_the_one_with_hashes() -> None:
    (backend,) = map(Requirement, PROJECT["build-system"]["requires"])
    for name in LOCKS:
        assert lock_of(name)["hatchling"].specifier == backend.specifier


def test_actions_are_pinned_by_commit() -> None:
    used = [
        line.split("uses:")[1].strip()
        for path in (ROOT / ".github" / "workflows").glob("*.y*ml")
        for line in path.read_text("utf-8").splitlines()
        if "uses:" in line
    ]
    assert len(used) >= 3
    assert [line for line in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


@pytest.mark.parametrize(
    ("target", "lock"), [("demo", "pipelines"), ("test", "dev"), ("check", "dev"), ("test-detect", "detect")]
)
def test_make_installs_what_has_hashes(target: str, lock: str, tmp_path: Path) -> None:
    make = shutil.which("make")
    assert make is not None
    command = [make, "--dry-run", target, f"VENV={tmp_path / 'none'}"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    installs = [line for line in said.splitlines() if re.search("-m pip .*install", line)]
    assert len(installs) == 2, said
    assert f"install --require-hashes --requirement requirements/{lock}.txt" in installs[0]
    assert installs[1].endswith("install --no-deps --no-build-isolation --editable .")


def test_the_image_installs_what_has_hashes() -> None:
    lines = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ").splitlines()
    installs = [part for line in lines for part in line.split("&&") if "pip install" in part]
    assert len(installs) == 3
    assert all("--require-hashes" in part or "--no-deps --no-index" in part for part in installs)


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / ".dev" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_bill_of_materials_names_all_that_is_installed(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        command = [sys.executable, str(ROOT / ".dev" / "sbom.py"), "--out", str(tmp_path / folder)]
        subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=100, check=True)
    text = (tmp_path / "one" / "sbom.json").read_text("utf-8")
    assert text == (tmp_path / "two" / "sbom.json").read_text("utf-8")
    bill = json.loads(text)
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch("urn:uuid:[0-9a-f-]{36}", bill["serialNumber"])
    assert bill["metadata"]["component"]["name"] == "glance-or-gaze"
    installed = {canonicalize_name(found.metadata["Name"]): found.version for found in distributions()}
    named = {part["name"]: part["version"] for part in bill["components"]}
    assert named.keys() | {"glance-or-gaze"} == installed.keys()
    for part in bill["components"]:
        assert part["type"] == "library"
        assert part["purl"] == part["bom-ref"] == f"pkg:pypi/{part['name']}@{part['version']}"
        (licence,) = part["licenses"]
        assert licence.get("expression") or licence["license"]["name"]
    references = {part["bom-ref"] for part in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    assert {line["ref"] for line in bill["dependencies"]} == references
    assert {name for line in bill["dependencies"] for name in line["dependsOn"]} <= references

    table = (tmp_path / "one" / "licences.md").read_text("utf-8")
    rows = {row.split(" | ")[0].removeprefix("| "): row for row in table.splitlines()[2:]}
    assert rows.keys() == installed.keys() | {"ultralytics"}
    assert "AGPL-3.0" in rows["ultralytics"]
    assert "Apache" in rows["apache-beam"]


HOLE = {"id": "X-1", "fix_versions": ["2"]}


@pytest.mark.parametrize(
    ("packages", "said", "code"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], "1 packages asked about, 0 unknown to the index, 0 known", 0),
        ([{"name": "a", "version": "1", "vulns": [HOLE]}], "a 1: X-1, mended in 2", 1),
        ([{"name": "a", "skip_reason": "not found"}], "NOT AUDITED: the index that was reached knows no advisories", 0),
    ],
)
def test_an_audit_says_what_it_looked_at(packages: list[dict[str, Any]], said: str, code: int) -> None:
    line, found = _script("audit").verdict(json.dumps({"dependencies": packages}), "")
    assert said in line
    assert found == code


def test_an_audit_without_an_index_is_none() -> None:
    line, code = _script("audit").verdict("", "ERROR: no route\n")
    assert line.startswith("NOT AUDITED: no index of advisories could be asked (ERROR: no route)")
    assert code == 0


@pytest.mark.parametrize("name", ["README.md", "SECURITY.md"])
def test_a_licence_that_binds_is_said(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert re.search(r"ultralytics.{0,60}AGPL-3\.0", text, re.DOTALL)

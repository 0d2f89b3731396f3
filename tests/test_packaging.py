"""Wheel, sdist and editable install: what is in them, and that what is installed works away from the source."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from environments import install, run, scratch

ROOT = Path(__file__).parents[1]
FOLDERS = ("face", "pipelines", "transforms", "schemas", "prompts", "gog_train")
LINKS = {
    ".dev/gog/__init__.py": "../../face/__init__.py",
    ".dev/gog/__main__.py": "../../face/__main__.py",
    ".dev/gog/py.typed": "../../face/py.typed",
    ".dev/gog/pipelines": "../../pipelines",
    ".dev/gog/prompts": "../../prompts",
    ".dev/gog/schemas": "../../schemas",
    ".dev/gog/transforms": "../../transforms",
    ".dev/gog_train": "../gog_train",
}


def _tracked() -> list[str]:
    """Files that git tracks, or would track."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing to compare with")
    command = [git, "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    return [name for name in run(command, ROOT).split("\0") if name and (ROOT / name).exists()]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files of the checkout, links included."""
    copy = tmp_path_factory.mktemp("source")
    for name in _tracked():
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target, follow_symlinks=False)
    return copy


def _in_folders(source: Path) -> set[str]:
    return {
        path.relative_to(source).as_posix()
        for folder in FOLDERS
        for path in (source / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def _installed_name(name: str) -> str:
    return name if name.startswith("gog_train/") else f"gog/{name.removeprefix('face/')}"


def _members(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def _build(source: Path, out: Path, kind: str) -> Path:
    run([sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", str(out), "."], source)
    (built,) = out.iterdir()
    return built


def _origin(python: Path, code: str) -> str:
    return run([str(python), "-I", "-c", code], python.parent).strip()


USE = """
from importlib.resources import files
import gog, gog.schemas.rows as rows, gog_train, gog.prompts, gog.transforms
from gog.schemas import Region, TABLES
assert {f.name for f in files("gog.schemas").joinpath("json").iterdir()} == {f"{t}.schema.json" for t in TABLES}
row = rows.to_row(Region(region_id="r", seed_id="s", box=(0, 0, 1, 1), score=1, source="x"))
rows.check_row("regions", row)
assert files("gog.schemas").joinpath("py.typed").is_file()
assert gog.Seed is gog.schemas.Seed
print(gog_train.__file__, rows.__file__, gog.__file__)
"""


def test_links_are_the_map() -> None:
    links = {path.relative_to(ROOT).as_posix() for path in (ROOT / ".dev").rglob("*") if path.is_symlink()}
    assert links == set(LINKS)
    for name, target in LINKS.items():
        assert (ROOT / name).readlink() == Path(target), name
        folder = ROOT / name if (ROOT / name).is_dir() else (ROOT / name).parent
        assert (folder / "__init__.py").is_file(), name


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_folder_is_typed(folder: str) -> None:
    assert (ROOT / folder / "py.typed").is_file()


def test_wheel_and_sdist_hold_the_folders_and_nothing_else(source: Path, tmp_path: Path) -> None:
    files = _in_folders(source)
    assert {"schemas/json/seeds.schema.json", "transforms/beam/__init__.py"} <= files
    wheel = _build(source, tmp_path / "wheel", "wheel")
    assert _members(wheel) == {_installed_name(name) for name in files}
    assert {name.split("/")[0] for name in _members(wheel)} == {"gog", "gog_train"}

    sdist = _build(source, tmp_path / "sdist", "sdist")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        archive.extractall(tmp_path / "unpacked", filter="data")
    assert {name for name in names if name.split("/")[0] in FOLDERS} == files
    assert names - files <= {"PKG-INFO", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore"}

    (unpacked,) = (tmp_path / "unpacked").iterdir()
    again = _build(unpacked, tmp_path / "again", "wheel")
    assert _members(again) == _members(wheel)


def test_an_installed_wheel_works_away_from_the_source(source: Path, tmp_path: Path) -> None:
    wheel = _build(source, tmp_path / "wheel", "wheel")
    python = scratch(tmp_path / "scratch")
    install(python, str(wheel))
    origins = _origin(python, USE).split()
    assert all(origin.startswith(str(tmp_path / "scratch")) for origin in origins)
    assert (python.parent / "gog").is_file()
    version = _origin(python, "import importlib.metadata as m; print(m.version('glance-or-gaze'))")
    assert version in wheel.name


def test_an_editable_install_reads_the_source(source: Path, tmp_path: Path) -> None:
    python = scratch(tmp_path / "scratch")
    install(python, "--editable", str(source))
    origins = _origin(python, USE).split()
    assert all(Path(origin).resolve().is_relative_to(source.resolve()) for origin in origins)


def test_without_links_an_editable_install_is_empty_and_make_says_so(source: Path, tmp_path: Path) -> None:
    """Such is a copy without symbolic links; a regular install does not need them."""
    copy = tmp_path / "copy"
    shutil.copytree(source, copy, symlinks=True)
    shutil.rmtree(copy / ".dev")
    python = scratch(tmp_path / "scratch")
    install(python, "--editable", str(copy))
    assert _origin(python, "import importlib.util as u; print(u.find_spec('gog_train'))") == "None"

    make = shutil.which("make")
    assert make is not None
    result = subprocess.run([make, "demo"], cwd=copy, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert "symbolic links under .dev are missing" in result.stderr

    wheel = _build(copy, tmp_path / "wheel", "wheel")
    assert _members(wheel) == {_installed_name(name) for name in _in_folders(copy)}

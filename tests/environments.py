"""Fresh environments that need no index: they see the packages of this one, but not its editable installs."""

import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path


def run(command: list[str], cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Standard output of a command that must succeed."""
    result = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert result.returncode == 0, result.stdout[-1000:] + result.stderr[-3000:]
    return result.stdout


def scratch(folder: Path) -> Path:
    """Python of a fresh environment."""
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    # A path in a .pth file is no site folder itself: the .pth of the editable install in it is not read.
    folders = [path for path in sys.path if Path(path).name == "site-packages"]
    (site / "packages.pth").write_text("".join(f"{path}\n" for path in folders), "utf-8")
    return folder / "bin" / "python"


def install(python: Path, *what: str) -> None:
    """Install into an environment: what is named and nothing that it needs."""
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    run([*command, "--ignore-installed", "--no-build-isolation", *what], python.parent)

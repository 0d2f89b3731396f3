"""The script, as it is typed."""

import subprocess
import sys
from pathlib import Path

import gog

FILE = Path(__file__).parents[2] / "examples" / "run_and_read.py"


def test_the_script_makes_a_run_and_exports_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(FILE), "lake"], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    run = gog.open_run(tmp_path / "lake")
    assert f"{run.arrow('curated').num_rows} trajectories are kept" in done.stdout
    assert "correct" in done.stdout
    assert all((run.folder / "exports" / name / "manifest.json").exists() for name in ("sft", "trl-qwen3-vl/sft"))

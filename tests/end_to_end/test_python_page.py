"""`docs/python.md` and what the README shows of it: their blocks run from top to bottom, as one program a page."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("page", "blocks"), [("docs/python.md", 8), ("README.md", 1)])
def test_the_page_runs(page: str, blocks: int, tmp_path: Path) -> None:
    program = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(program) == blocks
    (tmp_path / "page.py").write_text("\n".join(program), "utf-8")
    done = subprocess.run(
        [sys.executable, "page.py"], cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    assert list((tmp_path / "lake" / "runs").glob("*/exports/sft/data/train-*.parquet"))

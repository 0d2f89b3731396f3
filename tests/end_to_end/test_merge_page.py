"""`docs/merge.md`: what its block makes of two exports holds nothing twice, and trains on nothing that is judged on."""

import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[2]
ROWS = {
    "first": {"train": ["a", "b", "c"], "validation": ["d", "e"]},
    "second": {"train": ["b", "d", "f"], "validation": ["e", "c"]},
}


def test_two_exports_become_one(tmp_path: Path) -> None:
    for run, splits in ROWS.items():
        data = tmp_path / "lake" / "runs" / run / "exports" / "sft" / "data"
        data.mkdir(parents=True)
        for split, names in splits.items():
            rows = [{"id": name, "seed_id": f"seed-{name}", "image_sha256": [f"picture-{name}"]} for name in names]
            pq.write_table(pa.Table.from_pylist(rows), data / f"{split}-00000-of-00001.parquet")
    (block,) = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs" / "merge.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    (tmp_path / "merge.py").write_text(block, "utf-8")
    done = subprocess.run(
        [sys.executable, "merge.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for split, names in {"train": ["a", "b", "f"], "validation": ["d", "e", "c"]}.items():
        table = pq.read_table(tmp_path / "both" / f"{split}-00000-of-00001.parquet")
        assert table["id"].to_pylist() == names

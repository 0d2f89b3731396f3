"""Vectors are searched exactly, and by the thread that asks alone."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gog.transforms.services.search.vector_table import VectorTable

SPENT = """
import sys, time
import numpy as np
from gog.transforms.services.search.vector_table import VectorTable
table = VectorTable(np.load(sys.argv[1], mmap_mode="r"))
query = np.ones(256, np.float32) / 16
table.nearest(query, 5)
whole, own = time.process_time(), time.thread_time()
for _ in range(50):
    table.nearest(query, 5)
print(time.process_time() - whole, time.thread_time() - own)
"""


@pytest.mark.parametrize("mapped", [False, True])
def test_the_nearest_are_those_of_an_exact_search(mapped: bool, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = random.standard_normal((400, 96))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    rows[7] = rows[300]
    np.save(tmp_path / "rows.npy", rows)
    table = VectorTable(np.load(tmp_path / "rows.npy", mmap_mode="r" if mapped else None))
    for number in (0, 300):
        scores = np.round((rows.astype(np.float64) @ rows[number]).clip(0), 4)
        found = table.nearest(rows[number], 6)
        assert [at for at, _ in found] == np.argsort(-scores, kind="stable")[:6].tolist()
        assert [score for _, score in found] == pytest.approx(np.sort(scores)[::-1][:6], abs=1.01e-4)
    assert [at for at, _ in table.nearest(rows[300], 2)] == [7, 300], "of equal ones the earlier"
    assert len(table.nearest(rows[0], 1000)) == 400


def test_a_search_takes_no_thread_but_its_own(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.ones((20_000, 256), np.float32) / 16)
    free = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", SPENT, str(tmp_path / "rows.npy")], env=free, capture_output=True, text=True, check=True
    )
    whole, own = map(float, done.stdout.split())
    assert whole <= 1.1 * own + 0.01

"""A million vectors of 768 numbers: how long the cells take to make, how much memory, what they find and how fast.

    PYTHONPATH=tests python -m bench.bench_vectors FOLDER [ROWS]

They are drawn around 2,000 centres of 50 topics, in clusters of uneven size, each spread in 40 directions of its own,
with noise; so are the queries, which are no rows. Each figure is of a process of its own.
"""

import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gog.transforms.services.search.vector_cells import open_vectors, write_cells
from gog.transforms.services.search.vector_table import header

DIMENSIONS, CLUSTERS, TOPICS, SPREAD, ASKED = 768, 2000, 50, 40, 300
Floats = NDArray[np.float32]


class Drawn:
    """Where vectors are drawn from."""

    def __init__(self) -> None:
        random = np.random.default_rng(7)
        topics, own = _unit(_normal(random, TOPICS)), _unit(_normal(random, CLUSTERS))
        self.centres = 0.7 * topics[random.integers(0, TOPICS, CLUSTERS)] + 0.7 * own
        share = random.lognormal(0, 0.8, CLUSTERS)
        self.share = share / share.sum()
        self.ways = _normal(random, CLUSTERS * SPREAD).reshape(CLUSTERS, SPREAD, DIMENSIONS) / DIMENSIONS**0.5
        falling = np.arange(1, SPREAD + 1) ** -0.5
        self.far = (0.7 * falling / np.linalg.norm(falling)).astype(np.float32)

    def rows(self, count: int, seed: int) -> Floats:
        random = np.random.default_rng(seed)
        which = random.choice(CLUSTERS, count, p=self.share)
        rows = self.centres[which].astype(np.float32) + _normal(random, count) * np.float32(0.3 / DIMENSIONS**0.5)
        along = random.standard_normal((count, SPREAD), np.float32) * self.far
        for cluster in np.unique(which):
            at = np.flatnonzero(which == cluster)
            rows[at] += along[at] @ self.ways[cluster]
        return _unit(rows)


def _normal(random: np.random.Generator, rows: int) -> Floats:
    return random.standard_normal((rows, DIMENSIONS), np.float32)


def _unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def draw(folder: Path, count: int) -> None:
    """Write the vectors, the queries and what an exact search finds."""
    drawn, asked, step = Drawn(), min(50_000, count), 10_000
    with (folder / "embeddings.npy").open("wb") as file:
        file.write(header(count, DIMENSIONS))
        for start in range(0, count, asked):
            file.write(drawn.rows(min(asked, count - start), start + 1).tobytes())
    queries, file_at = drawn.rows(ASKED, 0), folder / "embeddings.npy"
    scores, numbers = np.zeros((ASKED, 0), np.float32), np.zeros((ASKED, 0), np.int64)
    for start in range(0, count, step):
        block = np.array(np.load(file_at, mmap_mode="r")[start : start + step])
        scores = np.concatenate([scores, queries @ block.T], axis=1)
        numbers = np.concatenate([numbers, np.tile(np.arange(start, start + len(block)), (ASKED, 1))], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :10]
        scores, numbers = np.take_along_axis(scores, best, 1), np.take_along_axis(numbers, best, 1)
    np.savez(folder / "asked.npz", queries=queries, numbers=numbers)


def build(folder: Path) -> dict[str, object]:
    """Make the cells."""
    peak, began, used = _watched(), time.perf_counter(), time.process_time()
    head = write_cells(folder / "embeddings.npy", None)
    (folder / "head.json").write_text(json.dumps(head))
    took, used = time.perf_counter() - began, time.process_time() - used
    size = (folder / "cells.faiss").stat().st_size >> 20 if head else 0
    return {"s": round(took), "cpu_s": round(used), "peak_mib": peak(), "cells_mib": size, **head}


def ask(folder: Path, *, exact: bool) -> dict[str, object]:
    """Ask, one query at a time."""
    head = {} if exact else json.loads((folder / "head.json").read_text())
    table, asked = open_vectors(folder / "embeddings.npy", head), np.load(folder / "asked.npz")
    times, right = [], 0
    for query, truth in zip(asked["queries"], asked["numbers"], strict=True):
        began = time.perf_counter()
        ranked = table.nearest(query, 10)
        times.append(1000 * (time.perf_counter() - began))
        right += len(dict(ranked).keys() & set(truth.tolist()))
    half, most = np.percentile(times, (50, 95))
    return {"recall_at_10": round(right / 10 / ASKED, 4), "p50_ms": round(half, 1), "p95_ms": round(most, 1)}


def _watched() -> Callable[[], int]:
    """Returns a function that tells the most memory that was the process's own since, in MiB: no mapped files."""
    most, status = [0], Path("/proc/self/status")

    def watch() -> None:
        while True:
            own = next(line for line in status.read_text().splitlines() if line.startswith("RssAnon"))
            most[0] = max(most[0], int(own.split()[1]) >> 10)
            time.sleep(0.05)

    threading.Thread(target=watch, daemon=True).start()
    return lambda: most[0]


def main() -> None:
    """Run each part in a process of its own, or one of them."""
    folder, count, part = Path(sys.argv[1]), int((sys.argv[2:] or ["1000000"])[0]), sys.argv[3:]
    if not part:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("draw", "build", "cells", "exact"):
            subprocess.run([sys.executable, "-m", "bench.bench_vectors", str(folder), str(count), name], check=True)
        return
    match part[0]:
        case "draw":
            draw(folder, count)
        case "build":
            print("build", json.dumps(build(folder)))
        case name:
            print(name, json.dumps(ask(folder, exact=name == "exact")))
    print(part[0], "most memory with mapped files, MiB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)


if __name__ == "__main__":
    main()

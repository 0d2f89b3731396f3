"""Speed of `gog view` at 100,000 trajectories: `python tests/bench/bench_view.py [TRAJECTORIES]`.

Makes a small run of the bundled world, copies its rows under other ids until there are enough, and asks a server of
its own process for pages as a browser would. Prints a table; seconds to milliseconds are wall time, on an idle machine
those of the server.
"""

import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[1]))

from runs import atlas

from gog.pipelines.lake.lake import Lake
from gog.pipelines.steps.run import run

IDS = {
    "seeds": ("seed_id",),
    "trajectories": ("trajectory_id", "seed_id"),
    "verdicts": ("trajectory_id", "seed_id"),
    "evidence": ("evidence_id",),
    "regions": ("region_id", "seed_id"),
    "curated": ("trajectory_id", "seed_id"),
    "complexity": ("seed_id",),
    "rejects": ("reject_id", "id", "seed_id"),
}
"""Tables that `gog view` reads, with their columns of ids."""
FILTERS = (
    "category=gaze",
    "outcome=wrong&reflective=yes",
    "reason=verify.wrong",
    "q=flag+second",
    "q=currency&sort=question",
    "review=todo&level=2",
    "behaviour=mixed&sort=tokens&down=1",
)


def enlarge(lake: Lake, source: str, name: str, least: int) -> int:
    """A run of at least so many trajectories; a copy of all rows is a shard."""
    tables = {table: pa.concat_tables(map(pq.read_table, lake.parts(source, table))) for table in IDS}
    rows = int(tables["trajectories"].num_rows)
    for copy in range(-(-least // rows)):
        for table, columns in IDS.items():
            made = tables[table]
            for column in columns:
                ids = pa.array([f"{value}-{copy}" for value in made[column].to_pylist()])
                made = made.set_column(made.schema.get_field_index(column), made.schema.field(column), ids)
            if table == "trajectories":
                own = [re.sub(r'"(evidence-[0-9a-f]+)"', rf'"\1-{copy}"', text) for text in made["steps"].to_pylist()]
                made = made.set_column(made.schema.get_field_index("steps"), made.schema.field("steps"), pa.array(own))
            path = lake.part_path(name, table, "synthesize", copy)
            path.parent.mkdir(parents=True, exist_ok=True)
            schema = made.schema.with_metadata(tables[table].schema.metadata)
            pq.write_table(made.sort_by(columns[0]).cast(schema), path, compression="zstd", row_group_size=5000)
    manifest = lake.read_manifest(source)
    assert manifest is not None
    lake.write_manifest(manifest.model_copy(update={"run": name}))
    return rows * -(-least // rows)


def measure(address: str, paths: Iterable[str]) -> str:
    """Median and 95th percentile of how long the paths take."""
    took = []
    for path in paths:
        began = time.perf_counter()
        with urllib.request.urlopen(address + path) as reply:  # our own server
            reply.read()
        took.append(1000 * (time.perf_counter() - began))
    took.sort()
    return f"{statistics.median(took):7.0f} ms {took[int(0.95 * len(took))]:7.0f} ms"


def main(least: int) -> None:
    """Print the table."""
    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        config = atlas(Path(folder) / "lake", count=200, shard_size=200)
        run(config)
        lake = Lake(Path(config.lake), create=False)
        number = enlarge(lake, config.run, "large", least)
        command = [sys.executable, "-m", "gog.pipelines.cli.main", "view", "--lake", config.lake, "--run", "large"]
        with subprocess.Popen([*command, "--port", "0", "--no-token"], stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            found = re.search(r"http://\S+", server.stdout.readline())
            assert found
            began = time.perf_counter()
            measure(found[0], ["runs/large"])
            print(f"{number:,} trajectories; the list is there after {time.perf_counter() - began:.1f} s")
            pages = [f"runs/large?page={draw.randrange(1, number // 50)}" for _ in range(50)]
            print("list           ", measure(found[0], pages))
            print("filter         ", measure(found[0], [f"runs/large?{draw.choice(FILTERS)}" for _ in range(70)]))
            turns = [f"runs/large?sql=turns+%3E+{draw.randrange(1, 5)}" for _ in range(30)]
            measure(found[0], turns[:1])  # starts the process that asks
            print("SQL            ", measure(found[0], turns))
            with urllib.request.urlopen(found[0] + draw.choice(pages)) as reply:
                names = re.findall(r'/t/([^"?]+)', reply.read().decode())
            print("trajectory page", measure(found[0], [f"runs/large/t/{name}" for name in names]))
            memory = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{server.pid}/status").read_text())
            print(json.dumps({"most_memory_mb": int(memory[1]) // 1024 if memory else None}))
            server.terminate()


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 100_000)

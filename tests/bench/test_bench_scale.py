"""What is found of a command that is watched."""

import os
import subprocess
import sys
from pathlib import Path

from bench.bench_scale import Watched, steps_of, watch
from bench.drawn_world import draw, name_of

CHILD = """
import time
held, end = bytearray(60 << 20), time.process_time() + 0.3
while time.process_time() < end: pass
time.sleep(1)
"""
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], start_new_session=True)"


def test_what_a_command_starts_is_counted_too(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", PARENT, CHILD], start_new_session=True)
    found = watch(process, tmp_path / "told", every_s=0.1)
    assert found.cpu_s[-1] >= 0.3
    assert 0 < found.first_mib < 60 < found.other_mib


def test_a_step_ends_where_it_has_written_its_counts(tmp_path: Path) -> None:
    (tmp_path / "funnel").mkdir()
    for name, moment in (("ingest-00000", 2), ("synthesize-00000", 3), ("ingest-00001", 5), ("curate-00000", 5)):
        path = tmp_path / "funnel" / f"part-{name}.parquet"
        path.touch()
        os.utime(path, (moment, moment))
    watched = Watched([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [0.0, 1.5, 2.0, 6.0, 7.0, 8.0, 9.0])
    found = {"ingest": [2.0, 2.0], "synthesize": [4.0], "curate": [0.0], "views": [1.0]}
    steps = steps_of(tmp_path, watched)
    assert {name: sum(each) for name, each in steps.items()} == {name: sum(each) for name, each in found.items()}


def test_drawn_things_have_pictures_and_names_of_their_own(tmp_path: Path) -> None:
    rows = draw(tmp_path / "pictures", 20).read_text("utf-8").splitlines()
    assert len(rows) == len({path.read_bytes() for path in (tmp_path / "pictures").glob("*.jpg")}) == 20
    assert len({name_of(number) for number in range(100_000)}) == 100_000

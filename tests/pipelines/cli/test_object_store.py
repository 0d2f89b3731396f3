"""`gog` over a lake on an object store: what it makes is what it makes in a folder."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from calling import Gog, Place, contents, place

from gog.pipelines.lake.lake import Lake
from gog.schemas import Seed
from gog.transforms.place import files_below, name_below
from gog.transforms.place import place as place_at


def at(lake: str, folder: Path) -> Path:
    """A config as `calling.place` makes it, of a lake on an object store with its answers in a folder."""
    settings = yaml.safe_load(place(folder).config.read_text()) | {
        "lake": lake,
        "store": {"path": str(folder / "store")},
    }
    file = folder / "remote.yaml"
    file.write_text(yaml.safe_dump(settings))
    return file


def remote_contents(lake: str) -> dict[str, bytes]:
    """As `calling.contents`."""
    run = Lake(lake).run_folder("tiny")
    named = {name_below(path, run): path for path in files_below(run)}
    return {
        name: path.read_bytes()
        for name, path in named.items()
        if path.suffix in {".parquet", ".md"} and "events" not in name.split("/")
    }


def test_a_run_and_what_looks_at_it(remote: str, finished: Place, gog: Gog, tmp_path: Path) -> None:
    done = at(remote, tmp_path)
    store = tmp_path / "store"
    store.mkdir()
    for path in (finished.lake / "store").glob("*"):  # few calls are made: answers are those of another run
        (store / path.name).write_bytes(path.read_bytes())
    assert gog("run", "-c", done).code == 0
    assert remote_contents(remote) == contents(finished.run)
    assert not list(Path().glob("*:*"))

    assert gog("run", "-c", done).code == 0  # nothing is left to do
    assert "done" in gog("status", "--lake", remote).out
    sql = "select count(*) as n from trajectories"
    here, there = (
        json.loads(gog("inspect", "--lake", lake, "--json", "--sql", sql).out) for lake in (finished.lake, remote)
    )
    assert there == here
    other = gog("inspect", "--lake", remote, "--sql", "from read_text('/etc/passwd')")
    assert other.code == 2
    assert gog("report", "--lake", remote).code == 0
    run = Lake(remote).run_folder("tiny")
    assert b"</html>" in (run / "report.html").read_bytes()
    exported = gog("export", "sft", "-c", done, "--format", "trl", "--backbone", "qwen2.5-vl")
    assert exported.code == 0, exported.err
    assert (run / "exports/trl-qwen2.5-vl/sft/manifest.json").is_file()
    out = tmp_path / "out"
    assert gog("export", "sft", "-c", done, "--out", out).code == 0
    assert (out / "manifest.json").is_file()
    assert gog("inspect", "--lake", remote, "--trajectory", "best", "--out", tmp_path / "best.png").code == 0

    lake = Lake(remote)
    seed = next(lake.read_table("tiny", "seeds", Seed))
    said = gog("forget", "--seed", seed.seed_id, "--lake", remote)
    assert said.code == 0, said.err
    assert seed.seed_id not in {other.seed_id for other in lake.read_table("tiny", "seeds", Seed)}
    assert not lake.images.has(seed.image_sha256)
    assert gog("run", "-c", done).code == 0
    assert seed.seed_id not in {other.seed_id for other in lake.read_table("tiny", "seeds", Seed)}


def test_doctor_tries_to_write(remote: str, gog: Gog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = at(remote, tmp_path)
    found = {check["name"]: check for check in json.loads(gog("doctor", "-c", file, "--json").out)}
    assert found["write access"]["state"] == "ok"
    assert files_below(place_at(remote)) == []


def test_what_cannot_be_is_said_in_one_line(remote: str, gog: Gog, tmp_path: Path) -> None:
    for command in (("run", "--demo"), ("preview", "--demo")):
        said = gog(*command, "--lake", remote)
        assert said.code == 2
        assert "keeps no answers: name a folder of this machine, or postgresql://" in said.error
    said = gog("eval", "-c", at(remote, tmp_path), "--bench", "atlas")
    assert said.code == 2
    assert "evaluations are kept in a folder" in said.error
    assert files_below(place_at(remote)) == []


pytestmark = pytest.mark.timeout(900)


def start(config: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "gog.pipelines.cli.main", "run", "-c", str(config)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ)


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on(remote: str, finished: Place, tmp_path: Path, gog: Gog) -> None:
    file = at(remote, tmp_path)
    for part in ("seeds/part-ingest-00000", "trajectories/part-synthesize-00000", "curated/part-curate-00000"):
        process = start(file)
        wanted = Lake(remote).run_folder("tiny") / f"{part}.parquet"
        until = time.monotonic() + 200
        while not wanted.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        if part.startswith("seeds"):
            said = gog("run", "-c", file)  # a second writer
            assert said.code == 1
            assert f"being written by another process (process {process.pid} on" in said.error
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert gog("run", "-c", file).code == 0
    assert remote_contents(remote) == contents(finished.run)

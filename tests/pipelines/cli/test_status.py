"""`gog status`: finished, stopped, live; one run or several."""

import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from calling import Gog, Place
from lakes import small_run

from gog.pipelines.config.config import Config
from gog.pipelines.connect.stores import read_store
from gog.pipelines.lake.lake import Lake, Manifest
from gog.pipelines.show.web.served_lake import ServedLake
from gog.pipelines.show.web.snapshots import Snapshots
from gog.pipelines.views import status as status_module
from gog.pipelines.views.metrics import openmetrics
from gog.pipelines.views.status import RECENT, Status, status_of
from gog.transforms.services.store.records import AnyStore


def status(gog: Gog, *args: object) -> Any:
    done = gog("status", "--json", *args)
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_a_finished_run(gog: Gog, finished: Place) -> None:
    found = status(gog, "--lake", finished.lake)
    kept = len(list(Lake(finished.lake).read_rows("tiny", "curated")))
    assert (found["run"], found["state"], found["kept"]) == ("tiny", "done", kept)
    assert found["calls"] > 100
    assert found["per_minute"] is None
    assert all(step["done"] == step["of"] for step in found["steps"])
    done = gog("status", "-c", finished.config)
    assert done.out.startswith("Run tiny: done\n")
    assert "Funnel" in done.out


def test_a_run_that_was_killed(gog: Gog, copied: Place) -> None:
    lake = Lake(copied.lake)
    manifest = lake.read_manifest("tiny")
    assert manifest is not None
    lake.write_manifest(manifest.model_copy(update={"state": "running"}))
    for path in copied.run.glob("*/part-synthesize-00001.parquet"):
        path.unlink()
    found = status(gog, "--lake", copied.lake)
    assert found["state"] == "unfinished"
    assert {step["step"]: (step["done"], step["of"]) for step in found["steps"]}["synthesize"] == (1, 2)
    assert "goes on where it stopped" in gog("status", "--lake", copied.lake).out


def test_a_live_run_is_watched_without_being_held_up(copied: Place) -> None:
    """The second of two shards is at work: the first took 100 s, and half of the second's seeds were looked at."""
    lake = Lake(copied.lake)
    now = time.time()
    for path in copied.run.glob("*/part-*.parquet"):
        os.utime(path, (now - 100, now - 100))
        if "-synthesize-00001" in path.name or ("-ingest-" not in path.name and "-synthesize-" not in path.name):
            path.unlink()
    os.utime(copied.run / "manifest.json", (now - 200, now - 200))
    with lake.lock("tiny"):
        found = status_of(lake, "tiny", now)
    assert (found.state, found.step) == ("live", "synthesize")
    assert found.per_minute is not None
    assert found.eta_s is not None
    # All of its seeds were looked at in this session's minutes, by the events: four of eight at least are done.
    assert 0 <= found.eta_s <= 200
    after = status_of(lake, "tiny", now)
    assert after.state != "live"


def test_a_run_of_days_is_told_by_its_last_hour(copied: Place) -> None:
    """It began two days ago; what it asked is of the last minutes, as is what was done of the second shard."""
    lake = Lake(copied.lake)
    now, days = time.time(), 2 * 86400
    for path in copied.run.glob("*/part-*.parquet"):
        os.utime(path, (now - days + 60, now - days + 60))
        if "-synthesize-00001" in path.name or ("-ingest-" not in path.name and "-synthesize-" not in path.name):
            path.unlink()
    os.utime(copied.run / "manifest.json", (now - days, now - days))
    with lake.lock("tiny"):
        lately = status_of(lake, "tiny", now).eta_s
        after_a_rest = status_of(lake, "tiny", now + days).eta_s
        set_back = status_of(lake, "tiny", now - 2 * days).eta_s
    assert lately is not None
    assert lately <= RECENT
    assert after_a_rest is not None
    assert after_a_rest == pytest.approx(lately * 2 * days / RECENT, rel=0.01)
    assert set_back is None


def test_the_page_of_a_live_run_tells_the_same_rate_and_reads_the_store_once(
    copied: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process began anew a moment ago: what the one before it asked in the same minute is none of its rate."""
    opened = []

    def counting(config: Config) -> AnyStore | None:
        opened.append(config)
        return read_store(config)

    lake, served = Lake(copied.lake), ServedLake(Lake(copied.lake))
    os.utime(copied.run / "manifest.json")
    monkeypatch.setattr(status_module, "read_store", counting)
    try:
        with lake.lock("tiny"):
            shot = Snapshots(served).of("tiny")
            assert len(opened) == 1
            rate = status_of(lake, "tiny").per_minute
    finally:
        served.close()
    assert rate == 0
    assert shot.now[-1] == "0.0 questions a second in the last minute"
    assert shot.facts.calls > 100


def test_several_runs_are_listed_and_one_is_shown_in_full(gog: Gog, copied: Place) -> None:
    lake = small_run(copied.lake)
    lake.write_manifest(Manifest(run="small", fingerprint="x", state="stopped", detail="max_calls: 5 of 5 calls made"))
    found = status(gog, "--lake", copied.lake)
    assert [(run["run"], run["state"]) for run in found] == [("small", "stopped"), ("tiny", "done")]
    listed = gog("status", "--lake", copied.lake).out
    assert "Funnel" not in listed
    assert "--run NAME" in listed
    assert max(len(line) for line in listed.splitlines()) <= 80
    assert [line.split()[:2] for line in listed.splitlines() if "stopped" in line] == [["small", "stopped"]]
    shown = gog("status", "--lake", copied.lake, "--run", "small").out
    assert "Run small: stopped at a ceiling" in shown
    assert "max_calls: 5 of 5" in " ".join(shown.split())


def test_a_lake_without_runs(gog: Gog, tmp_path: Path) -> None:
    Lake(tmp_path / "lake")
    done = gog("status", "--lake", tmp_path / "lake")
    assert done.code == 2
    assert "gog run" in done.error


def test_a_lake_that_lost_its_store(gog: Gog, copied: Place) -> None:
    shutil.rmtree(copied.lake / "store")
    found = status(gog, "--lake", copied.lake)
    assert (found["state"], found["calls"]) == ("done", 0)
    assert not (copied.lake / "store").exists()


def test_tables_fit_eighty_columns_and_count_calls_as_the_line_does(
    gog: Gog, finished: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for command in (("status",), ("plan", "--demo"), ("store", "stats")):
        out = gog(*command, "--lake", finished.lake).out
        assert max(len(line.rstrip()) for line in out.splitlines()) <= 80
        words = {word for line in out.splitlines() for word in line.split()}
        assert "image_search" in words, "no word of a kind is broken"
    out = gog("status", "--lake", finished.lake).out
    made = re.search(r"([\d,]+) calls made", out)
    total = next(line.split() for line in out.splitlines() if line.startswith(" all ") and "%" not in line)
    assert made is not None
    assert total[1] == made[1]


def test_metrics_are_openmetrics_text(gog: Gog, finished: Place) -> None:
    found = status(gog, "--lake", finished.lake)
    done = gog("status", "--lake", finished.lake, "--metrics")
    assert done.code == 0, done.err
    assert done.out.endswith("# EOF\n")
    samples = dict(line.rsplit(" ", 1) for line in done.out.splitlines() if not line.startswith("#"))
    assert samples['gog_run_state{run="tiny",state="done"}'] == "1"
    assert samples['gog_kept{run="tiny"}'] == str(found["kept"])
    assert samples['gog_calls_total{run="tiny"}'] == str(found["calls"])
    for line in found["funnel"]:
        of = f'run="tiny",stage="{line["stage"]}",unit="{line["unit"]}"'
        assert samples[f'gog_units_total{{{of},outcome="passed"}}'] == str(line["passed"])
    made = sum(line["calls"] for line in found["spend"])
    assert sum(int(value) for key, value in samples.items() if key.startswith("gog_provider_calls_total")) == made
    families = [line.split()[2] for line in done.out.splitlines() if line.startswith("# TYPE")]
    assert len(families) == len(set(families))
    assert gog("status", "--lake", finished.lake, "--metrics", "--json").code == 2


def test_names_of_runs_and_services_are_escaped() -> None:
    state = status_named('a "b" \\ c')
    assert 'gog_run_state{run="a \\"b\\" \\\\ c",state="live"} 1' in openmetrics([state]).splitlines()
    assert 'gog_eta_seconds{run="a \\"b\\" \\\\ c",step="ingest"} 90.0' in openmetrics([state]).splitlines()


def status_named(run: str) -> Status:
    empty: dict[str, list[dict[str, Any]]] = {name: [] for name in ("funnel", "reasons", "spend", "providers")}
    return Status(run, "live", "", (), 0, 0, 0, 0, 0, 0.0, 0.0, 12.0, "ingest", 90.0, empty)

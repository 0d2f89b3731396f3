"""`gog run`: what it makes, that it goes on where it stopped, what it prints, and what ends it in one line."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from calling import Gog, Place, contents, place, tree
from runs import calls, check_nothing_lost

from gog.pipelines.config.config import load_config


def events_of(made: Place) -> tuple[int, int]:
    """Calls made and answers from the store."""
    return calls(load_config(made.config))


def test_run_makes_everything_and_prints_it(gog: Gog, warm: Place, finished: Place) -> None:
    done = gog("run", "-c", warm.config)
    assert done.code == 0
    assert all(title in done.out for title in ("Funnel", "Calls", "Behaviours", "Levels"))
    check_nothing_lost(load_config(warm.config), 8)
    for kind in ("sft", "rl"):
        assert (warm.run / "exports" / kind / "README.md").exists()
    assert events_of(warm)[0] == events_of(finished)[0], "the store answers all"


def test_a_second_run_does_nothing(gog: Gog, copied: Place) -> None:
    before = contents(copied.run)
    done = gog("run", "-c", copied.config, "--json")
    assert done.code == 0
    assert contents(copied.run) == before
    printed = json.loads(done.out)
    assert (printed["run"], printed["state"]) == ("tiny", "done")
    assert {line["stage"] for line in printed["funnel"]} >= {"ingest", "screen", "verify", "curate", "label"}


def with_ceiling(made: Place, ceiling: int) -> None:
    made.config.write_text(made.config.read_text().replace("max_calls: null", f"max_calls: {ceiling}"))


@pytest.mark.parametrize("ceiling", [12, 150])
def test_at_a_ceiling_the_run_stops_and_with_a_higher_one_it_goes_on(
    gog: Gog, tmp_path: Path, finished: Place, ceiling: int
) -> None:
    made = place(tmp_path)
    shutil.copytree(finished.lake / "indexes", made.lake / "indexes")
    plain = made.config.read_text()
    with_ceiling(made, ceiling)
    stopped = gog("run", "-c", made.config)
    assert stopped.code == 1
    said = f"max_calls: {ceiling} of {ceiling} calls made"
    assert stopped.error == f"gog: {said}; everything is kept, go on with a higher ceiling"
    assert not (made.run / "exports").exists()
    assert "stopped at a ceiling" in gog("status", "-c", made.config).out
    again = gog("run", "-c", made.config)
    assert again.code == 1, "the same ceiling stops it again"
    assert events_of(made)[0] == ceiling
    made.config.write_text(plain)
    assert gog("run", "-c", made.config).code == 0
    assert contents(made.run) == contents(finished.run)
    assert events_of(made)[0] == events_of(finished)[0], "nothing was paid twice"


def test_a_stopped_run_may_be_curated_as_it_is_and_has_still_stopped(gog: Gog, warm: Place) -> None:
    (warm.lake / "store" / "store.sqlite").unlink()
    with_ceiling(warm, 150)
    assert gog("run", "-c", warm.config).code == 1
    done = gog("curate", "-c", warm.config)
    assert (done.code, done.err) == (0, "")
    assert "stopped at a ceiling" in gog("status", "-c", warm.config).out


def test_what_replay_missed_is_done_when_calls_are_allowed(gog: Gog, tmp_path: Path, finished: Place) -> None:
    made = place(tmp_path)
    shutil.copytree(finished.lake / "indexes", made.lake / "indexes")
    plain = made.config.read_text()
    with_ceiling(made, 150)
    assert gog("run", "-c", made.config).code == 1
    made.config.write_text(plain.replace("mode: record", "mode: replay"))
    replayed = gog("run", "-c", made.config)
    assert replayed.code == 0
    assert "store.miss" in replayed.out
    made.config.write_text(plain)
    assert gog("run", "-c", made.config).code == 0
    assert contents(made.run) == contents(finished.run)


def test_accept_stops_when_enough_are_kept(gog: Gog, warm: Place) -> None:
    done = gog("run", "-c", warm.config, "--accept", "1", "--json")
    assert done.code == 0
    (ingest,) = [line for line in json.loads(done.out)["funnel"] if line["stage"] == "ingest"]
    assert ingest["entered"] == 4, "the second shard was not begun"


def test_shards_are_counted_over_the_whole_run(gog: Gog, warm: Place) -> None:
    from gog.pipelines.steps.run import run

    told: list[tuple[str, int, int]] = []
    run(load_config(warm.config), on_shard=lambda *step: told.append(step))
    assert [step for step in told if step[0] in {"ingest", "synthesize"}] == [
        ("ingest", 0, 2),
        ("synthesize", 0, 2),
        ("ingest", 1, 2),
        ("synthesize", 1, 2),
    ]


def test_a_server_that_does_not_start_ends_the_run_in_one_line(gog: Gog, tmp_path: Path) -> None:
    """Rather than reject every seed: nothing is wrong with them."""
    executable = tmp_path / "vllm"
    executable.write_text(f"#!{sys.executable}\nraise SystemExit('no GPU\\nhere')\n")
    executable.chmod(0o755)
    made = place(tmp_path, count=4, teacher="vllm:m", vllm={"executable": str(executable)})
    done = gog("run", "--config", made.config)
    assert done.code == 1
    assert "vllm:m ended with exit code 1 before it was up" in done.error
    assert "no GPU / here" in done.error
    assert len(list((made.lake / "logs").iterdir())) == 1
    assert not list((made.run / "rejects").glob("part-*synth*"))


def test_a_missing_key_is_told_before_anything_is_done(gog: Gog, tmp_path: Path) -> None:
    settings = {"m": {"key_env": "A_KEY_THAT_NOBODY_SET"}}
    made = place(tmp_path, count=4, teacher="http://127.0.0.1:9/v1#m", models=settings)
    done = gog("run", "--config", made.config)
    assert done.code == 2
    assert "A_KEY_THAT_NOBODY_SET is not set" in done.error
    assert not made.run.exists()


@pytest.mark.parametrize("option", ["--runnner=FlinkRunner", "--runner=NoRunner", "--runner=DataflowRunner"])
def test_options_that_beam_does_not_know_are_refused_before_anything_is_done(
    gog: Gog, warm: Place, option: str
) -> None:
    before = tree(warm.lake)
    done = gog("run", "-c", warm.config, "--", option)
    assert (done.code, done.out) == (2, "")
    assert "bug" not in done.error
    assert tree(warm.lake) == before


def test_a_runner_that_cannot_be_started_is_told_in_one_line(
    gog: Gog, warm: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("Unable to fetch remote job server jar:\nno network")

    monkeypatch.setattr("apache_beam.utils.subprocess_server.JavaJarServer.local_jar", refuse)
    done = gog("run", "-c", warm.config, "--", "--runner=FlinkRunner")
    assert (done.code, done.out) == (1, "")
    assert "Flink: its job service cannot be had (Unable to fetch remote job server jar" in done.error
    assert "--flink_job_server_jar=FILE" in done.error


@pytest.mark.parametrize("lake", ["hdfs://host/lake", "gs:/bucket/lake", "ftp://bucket/lake", "s3://bucket"])
def test_a_lake_at_an_address_that_is_none_is_refused_and_no_folder_is_made(
    lake: str, gog: Gog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    commands = [
        "run --demo",
        "demo",
        "ingest --demo",
        "export sft --demo",
        "doctor --demo",
        "plan --demo",
        "preview --demo",
    ]
    commands += ["status", "view", "report", "audit", "review stats", "store stats", "forget --seed seed-1"]
    commands += ["eval compare a b", "eval agreement a", "eval --bench atlas --demo", "inspect --sql x"]
    for command in commands:
        done = gog(*command.split(), "--lake", lake)
        assert done.code == 2, command
        told = "name the bucket and a folder in it" if lake == "s3://bucket" else "is no place for a lake"
        assert f"{lake}{':' if lake == 's3://bucket' else ''} {told}" in done.error, command
    assert not list(tmp_path.iterdir())


def test_less_kept_than_is_wanted_is_exit_code_1_with_the_reason_that_took_most(gog: Gog, copied: Place) -> None:
    done = gog("run", "-c", copied.config, "--min-kept", 1000)
    assert done.code == 1
    assert re.search(r"\d kept of at least 1,000: \w+\.\w+ took \d+ \(.+\); `gog inspect", done.error)
    assert gog("run", "-c", copied.config, "--min-kept", 1).code == 0


def test_nothing_kept_is_exit_code_1_though_nothing_outside_failed(gog: Gog, warm: Place) -> None:
    data = yaml.safe_load(warm.config.read_text())
    data["synthesize"] |= {"rollouts": 0, "composed": 1}
    data["curate"]["balance"] |= {"total": 0}
    warm.config.write_text(yaml.safe_dump(data | {"teacher": "planner:skill=0"}))
    done = gog("run", "-c", warm.config)
    assert done.code == 1
    assert "nothing was kept: " in done.error
    assert " took " in done.error


def test_a_dry_run_builds_all_jobs_and_makes_nothing(gog: Gog, tmp_path: Path) -> None:
    made = place(tmp_path)
    image = "--sdk_container_image=europe-west4-docker.pkg.dev/some-project/gog/worker:1.0"
    where = ("--region=europe-west4", "--temp_location=gs://bucket/tmp", "--staging_location=gs://bucket/staging")
    beam = ("--runner=DataflowRunner", "--project=some-project", *where, image)
    done = gog("run", "--dry-run", "--json", "-c", made.config, "--", *beam)
    checks = {check["name"]: check for check in json.loads(done.out)}
    assert not made.lake.exists()
    for step in ("ingest", "synthesize", "curate", "label"):
        assert re.match(r"\d+ transforms, \d+ shuffles, \d+ functions, ", checks[f"job {step}"]["found"])
    assert checks["coders"]["state"] == checks["pickles"]["state"] == checks["image"]["state"] == "ok"
    assert checks["options"]["found"] == "project some-project, region europe-west4, gs://bucket/tmp"
    assert checks["lake"]["state"] == checks["store"]["state"] == "warning", "workers elsewhere do not see this machine"

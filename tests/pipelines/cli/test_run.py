"""The commands that do the work: what they make, that they go on where they stopped, what they print."""

import io
import json
import shutil
import sys
from pathlib import Path

import pytest
from calling import Gog, Place, contents, place
from runs import calls, check_nothing_lost

from gog.pipelines.cli import progress
from gog.pipelines.cli.progress import Progress
from gog.pipelines.config.config import load_config
from gog.pipelines.lake.lake import Lake


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


def test_the_pipelines_one_at_a_time_come_to_the_same(gog: Gog, warm: Place, finished: Place) -> None:
    for step in (["ingest"], ["synthesize"], ["curate"], ["export", "sft"], ["label"], ["export", "rl"]):
        done = gog(*step, "-c", warm.config)
        assert done.code == 0, done.err
        assert "Funnel" in done.out
    assert "load_dataset" in done.out
    assert contents(warm.run) == contents(finished.run)
    manifest = Lake(warm.lake).read_manifest("tiny")
    assert manifest is not None
    assert manifest.state == "done"


@pytest.mark.parametrize(
    ("step", "first"),
    [
        (["synthesize"], "gog ingest"),
        (["curate"], "gog synthesize"),
        (["label"], "gog curate"),
        (["export", "sft"], "gog curate"),
        (["export", "rl"], "gog label"),
    ],
)
def test_a_pipeline_whose_input_is_not_there(gog: Gog, warm: Place, step: list[str], first: str) -> None:
    done = gog(*step, "-c", warm.config)
    assert done.code == 2
    assert first in done.error


def test_synthesize_leaves_shards_that_are_not_ingested(gog: Gog, copied: Place, finished: Place) -> None:
    lake = Lake(copied.lake)
    for table in ("seeds", "rejects", "funnel"):
        lake.part_path("tiny", table, "ingest", 1).unlink()
    for path in copied.run.glob("*/part-synthesize-00001.parquet"):
        path.unlink()
    assert gog("synthesize", "-c", copied.config).code == 0
    assert not lake.part_path("tiny", "trajectories", "synthesize", 1).exists()
    assert gog("run", "-c", copied.config).code == 0
    assert contents(copied.run) == contents(finished.run)


def test_another_policy_labels_anew_and_the_export_follows(gog: Gog, copied: Place, finished: Place) -> None:
    assert gog("label", "-c", copied.config, "--policy", "planner:skill=0.1").code == 0
    rows = list(Lake(copied.lake).read_rows("tiny", "complexity"))
    assert rows
    assert {row["policy"].partition("?")[2] for row in rows} == {"skill=0.1"}
    assert gog("export", "rl", "-c", copied.config).code == 0
    assert "skill=0.1" in (copied.run / "exports" / "rl" / "README.md").read_text()
    assert gog("run", "-c", copied.config).code == 0
    assert contents(copied.run) == contents(finished.run), "the config's own labeller again"


def test_the_export_again_after_a_change_of_its_settings(gog: Gog, copied: Place) -> None:
    copied.config.write_text(copied.config.read_text().replace("max_tokens: 16000", "max_tokens: 256"))
    done = gog("export", "sft", "-c", copied.config)
    assert done.code == 0
    assert "export.too_long" in done.out
    assert not list((copied.run / "exports" / "sft").glob("*.parquet"))


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


def test_demo_ends_with_a_picture_and_what_to_type_next(
    gog: Gog, finished: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gog.pipelines.cli import demo

    small = load_config(finished.config)
    monkeypatch.setattr(demo, "config_of", lambda *_: small)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    done = gog("demo", "--lake", finished.lake)
    assert done.code == 0
    assert (finished.run / "example.png").read_bytes().startswith(b"\x89PNG")
    assert "example.png" in done.out
    for command in ("view", "inspect", "preview", "init"):
        assert f" {sys.argv[0]} {command}" in done.out  # as the one who typed it can type it again
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/gog")
    assert f"gog view --lake {finished.lake}\n" in gog("demo", "--lake", finished.lake).out


def test_progress_is_a_plain_line_without_a_terminal(finished: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_EVERY", 0.01)
    stream = io.StringIO()
    with Progress(load_config(finished.config), stream) as shown:
        shown.shard("synthesize", 1, 3)
        shown._stop.wait(0.1)
    lines = stream.getvalue().splitlines()
    assert lines
    assert all("synthesize 2/3" in line and "\x1b" not in line for line in lines)


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


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["sft", "--format", "trl"], "needs the model to train: qwen2.5-vl or qwen3-vl"),
        (["sft", "--backbone", "qwen3-vl"], "for a backbone use --format trl"),
        (["sft", "--format", "verl", "--backbone", "qwen3-vl"], "use llama-factory, ms-swift, parquet, trl"),
        (["rl", "--format", "llama-factory", "--backbone", "qwen3-vl"], "use ms-swift, parquet, trl, verl"),
        (["sft", "--format", "axolotl", "--backbone", "qwen3-vl"], "axolotl"),
        (["dpo"], "there are two exports: sft and rl"),
    ],
)
def test_an_export_that_there_is_not(gog: Gog, copied: Place, options: list[str], told: str) -> None:
    done = gog("export", *options, "-c", copied.config)
    assert done.code == 2
    assert told in " ".join(done.err.replace("│", " ").split())


def test_an_export_for_a_trainer_stands_beside_the_runs_own(gog: Gog, copied: Place, finished: Place) -> None:
    done = gog("export", "sft", "-c", copied.config, "--format", "trl", "--backbone", "qwen2.5-vl")
    assert done.code == 0, done.err
    folder = copied.run / "exports" / "trl-qwen2.5-vl" / "sft"
    assert str(folder) in done.out
    manifest = json.loads((folder / "manifest.json").read_text())
    own = json.loads((copied.run / "exports" / "sft" / "manifest.json").read_text())
    rows = [sum(split["rows"] for split in one["splits"].values()) for one in (manifest, own)]
    assert rows[0] + sum(manifest["rejected"].values()) == rows[1] + sum(own["rejected"].values())
    shutil.rmtree(folder.parent)
    assert contents(copied.run) == contents(finished.run)


def test_push_uploads_what_was_exported(gog: Gog, copied: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from gog.pipelines.export import hub

    asked: list[tuple[Path, str]] = []

    def push(folder: Path, repo: str) -> str:
        asked.append((folder, repo))
        return f"https://hub.example/{repo}"

    monkeypatch.setattr(hub, "push_export", push)
    done = gog("export", "rl", "-c", copied.config, "--format", "verl", "--backbone", "qwen3-vl", "--push", "me/rl")
    assert done.code == 0, done.err
    assert asked == [(copied.run / "exports" / "verl-qwen3-vl" / "rl", "me/rl")]
    assert "uploaded to https://hub.example/me/rl" in done.out

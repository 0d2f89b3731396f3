"""Before a run: init, plan, preview, doctor."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from calling import Gog, Place, contents, place

from gog.pipelines.config.config import load_config
from gog.pipelines.config.sources import FileSource
from gog.pipelines.lake.lake import Lake
from gog.pipelines.rehearse import doctor


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder, with size and time of its last change; what SQLite keeps beside a store left out."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


class TestInit:
    def test_writes_a_config_that_parses_and_says_what_is_next(self, gog: Gog, tmp_path: Path) -> None:
        file = tmp_path / "gog.yaml"
        done = gog("init", file)
        assert done.code == 0
        assert "gog plan" in done.out
        assert isinstance(load_config(file).source, FileSource)
        assert file.read_text().count("#") > 20

    def test_keeps_what_is_there_unless_forced(self, gog: Gog, tmp_path: Path) -> None:
        file = tmp_path / "mine.yaml"
        file.write_text("mine")
        done = gog("init", file)
        assert done.code == 2
        assert "--force" in done.error
        assert file.read_text() == "mine"
        assert gog("init", file, "--force").code == 0
        assert load_config(file).run == "my-run"

    def test_atlas(self, gog: Gog, tmp_path: Path) -> None:
        assert gog("init", tmp_path / "a.yaml", "--atlas").code == 0
        assert load_config(tmp_path / "a.yaml").source.kind == "atlas"

    def test_a_config_that_is_passed_over_is_told_of(
        self, gog: Gog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert gog("init").code == 0
        done = gog("plan")
        assert (done.code, "Run atlas" in done.out) == (0, True)
        assert done.error == "gog: this is the bundled world; for gog.yaml, which is here, add -c gog.yaml"
        assert "bundled world" not in gog("plan", "-c", "gog.yaml").error

    def test_a_folder_that_is_not_there(self, gog: Gog, tmp_path: Path) -> None:
        assert gog("init", tmp_path / "none" / "a.yaml").code == 2


def planned(gog: Gog, *args: object) -> dict[str, Any]:
    done = gog("plan", "--json", *args)
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


class TestPlan:
    def test_nothing_is_called_and_nothing_is_written(self, gog: Gog, tmp_path: Path) -> None:
        made = place(tmp_path)
        done = gog("plan", "-c", made.config)
        assert done.code == 0
        assert not made.lake.exists()
        assert "8 rows in 2 shards, none of them done yet" in done.out
        assert "$0.00: every service is embedded" in done.out
        assert "assumed" in done.out
        assert max(map(len, done.out.splitlines())) <= 120

    def test_an_existing_lake_is_left_as_it_is(self, gog: Gog, copied: Place) -> None:
        before = tree(copied.lake)
        assert gog("plan", "-c", copied.config).code == 0
        assert gog("plan", "-c", copied.config, "--run", "other").code == 0
        assert tree(copied.lake) == before

    def test_what_a_run_really_makes_lies_in_the_ranges(self, gog: Gog, finished: Place, tmp_path: Path) -> None:
        plan = planned(gog, "-c", place(tmp_path).config)
        status = json.loads(gog("status", "--lake", finished.lake, "--json").out)
        assert plan["calls"]["low"] <= status["calls"] <= plan["calls"]["high"]
        assert plan["tokens"]["low"] <= status["tokens"] <= plan["tokens"]["high"]
        purposes = {(line["kind"], line["purpose"]) for line in status["spend"]}
        assert purposes <= {(line["kind"], line["purpose"]) for line in plan["lines"]}

    def test_a_finished_run_has_nothing_left(self, gog: Gog, finished: Place) -> None:
        plan = planned(gog, "-c", finished.config)
        assert (plan["left"], plan["lines"], plan["done"]["synthesize"]) == (0, [], 2)
        assert "Nothing is left" in gog("plan", "-c", finished.config).out

    def test_a_ceiling_that_may_stop_it_is_named(self, gog: Gog, tmp_path: Path) -> None:
        made = place(tmp_path, budget={"max_calls": 10})
        assert any("ceiling of 10 calls" in note for note in planned(gog, "-c", made.config)["notes"])

    def test_a_tool_that_is_not_offered_is_not_planned(self, gog: Gog, tmp_path: Path) -> None:
        made = place(tmp_path, episode={"tools": ["image_search", "gaze"]})
        assert not any(line["kind"] == "text_search" for line in planned(gog, "-c", made.config)["lines"])


class TestPlanFromPreviews:
    def test_previewed_seeds_give_an_interval_that_holds_the_run(self, gog: Gog, warm: Place, finished: Place) -> None:
        assumed = planned(gog, "-c", warm.config)
        assert (assumed["previewed"], any(line["sampled"] for line in assumed["lines"])) == (0, False)
        assert gog("preview", "-n", "5", "-c", warm.config).code == 0
        plan = planned(gog, "-c", warm.config)
        assert plan["previewed"] == 5
        assert {line["purpose"] for line in plan["lines"] if line["sampled"]} >= {"screen", "episode", "compose"}
        assert all(not line["sampled"] for line in plan["lines"] if line["purpose"] == "label")
        assert any("preview of 5 seeds" in note for note in plan["notes"])
        assert "screen +" in gog("plan", "-c", warm.config).out
        status = json.loads(gog("status", "--lake", finished.lake, "--json").out)
        made = sum(line["calls"] for line in status["spend"] if line["purpose"] == "screen")
        found = [line["calls"] for line in plan["lines"] if line["purpose"] == "screen"]
        assert sum(calls["low"] for calls in found) <= made <= sum(calls["high"] for calls in found)
        assert plan["calls"]["low"] <= status["calls"] <= plan["calls"]["high"]

    def test_another_config_was_not_previewed(self, gog: Gog, warm: Place) -> None:
        assert gog("preview", "-n", "1", "-c", warm.config).code == 0
        assert planned(gog, "-c", warm.config)["previewed"] == 1
        text = warm.config.read_text()
        warm.config.write_text(text.replace("teacher: planner:skill=0.85", "teacher: planner:skill=0.7"))
        assert planned(gog, "-c", warm.config)["previewed"] == 0


class TestPlanOfMoney:
    TEACHER = "http://127.0.0.1:9/v1#gpt-4o-mini"

    def test_list_prices_are_named_with_their_date(self, gog: Gog, tmp_path: Path) -> None:
        made = place(tmp_path, teacher=self.TEACHER)
        done = gog("plan", "--json", "-c", made.config)
        plan = json.loads(done.out)
        assert 0 < plan["cost"]["low"] < plan["cost"]["high"]
        assert any("list price as of 20" in note and "gpt-4o-mini" in note for note in plan["notes"])
        out = gog("plan", "-c", made.config).out
        assert "Money  $0." in out

    def test_ones_own_price_counts(self, gog: Gog, tmp_path: Path) -> None:
        made = place(tmp_path, teacher=self.TEACHER, prices={"gpt-4o-mini": {"per_call": 2.0}})
        plan = planned(gog, "-c", made.config)
        lines = [line for line in plan["lines"] if line["service"] == self.TEACHER]
        assert lines
        for line in lines:
            assert line["cost"]["high"] == pytest.approx(2.0 * line["calls"]["high"], abs=1.1)
        assert any("$2 a call" in note for note in plan["notes"])

    def test_an_unknown_price_is_named_and_refused_under_a_ceiling(self, gog: Gog, tmp_path: Path) -> None:
        made = place(tmp_path, teacher="http://127.0.0.1:9/v1#my/model", budget={"max_cost": 5})
        plan = planned(gog, "-c", made.config)
        assert plan["cost"] is None
        assert any("no price is known for http://127.0.0.1:9/v1#my/model" in note for note in plan["notes"])
        done = gog("run", "-c", made.config)
        assert done.code == 2
        assert "no price is known for my/model" in done.error

    def test_keys_are_not_needed_and_the_missing_one_is_named(
        self, gog: Gog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("TEACHER_KEY", "SERPER_API_KEY"):
            monkeypatch.delenv(name, raising=False)
        models = {"gpt-4o-mini": {"key_env": "TEACHER_KEY"}}
        lent = {"put": "https://h.example/{name}", "url": "https://h.example/{name}", "key_env": "TEACHER_KEY"}
        web: dict[str, Any] = {"text_search": "serper:", "image_search": "serper:", "uploader": lent}
        made = place(tmp_path, teacher=self.TEACHER, models=models, **web)
        plan = planned(gog, "-c", made.config)
        assert plan["cost"]["low"] > 0
        assert any("the key's variable TEACHER_KEY is not set" in note for note in plan["notes"])
        assert gog("run", "-c", made.config).code == 2
        monkeypatch.setenv("TEACHER_KEY", "planted")
        assert "SERPER_API_KEY" in gog("plan", "-c", made.config).out

    def test_a_ceiling_below_the_estimate_is_named(self, gog: Gog, tmp_path: Path) -> None:
        made = place(tmp_path, teacher=self.TEACHER, budget={"max_cost": 0.001})
        assert "the ceiling of $0.00 may stop it" in gog("plan", "-c", made.config).out


class TestPreview:
    def test_tells_every_turn_and_writes_no_table(self, gog: Gog, copied: Place) -> None:
        before = contents(copied.run)
        made = {row["answer"] for row in Lake(copied.lake).read_rows("tiny", "trajectories")}
        done = gog("preview", "-n", "2", "-c", copied.config)
        assert done.code == 0, done.err
        assert contents(copied.run) == before
        assert "Seed 1 of 2" in done.out
        assert "Seed 2 of 2" in done.out
        assert all(word in done.out for word in ("accepted", "screen", "turn 1", "answer", "verdict", "Attempt 1 of "))
        answers = {line.removeprefix("answer").strip() for line in done.out.splitlines() if line.startswith("answer ")}
        assert answers
        assert answers <= made, "a run makes the same attempts"
        pictures = sorted((copied.lake / "previews" / "tiny").glob("*.png"))
        assert pictures
        assert all(str(path) in done.out.replace("\n", "") for path in pictures)

    def test_the_store_answers_what_the_run_has_asked(self, gog: Gog, copied: Place) -> None:
        from gog.transforms.services.store.records import Mode
        from gog.transforms.services.store.sqlite import Store

        assert gog("preview", "-n", "1", "-c", copied.config).code == 0
        with Store(copied.lake / "store", Mode.REPLAY) as store:
            assert store.spend("tiny-preview").calls == 0
            assert sum(tally.from_store for tally in store.tally("tiny-preview")) > 0

    def test_rows_that_are_no_seeds_are_named(self, gog: Gog, copied: Place, tmp_path: Path) -> None:
        rows = tmp_path / "rows.jsonl"
        rows.write_text('{"question": "What?", "answers": ["a"], "image": "none.png"}\n')
        mapping = {"question": "question", "answers": ["answers"], "image": "image"}
        made = place(tmp_path, source={"kind": "jsonl", "path": str(rows), "dataset": "d", "mapping": mapping})
        done = gog("preview", "-c", made.config)
        assert done.code == 0
        assert "ingest.image_unreadable" in done.out


class TestDoctor:
    def checks(self, gog: Gog, *args: object, code: int = 0) -> dict[str, dict[str, str]]:
        done = gog("doctor", "--json", *args)
        assert done.code == code, done.out
        return {check["name"]: check for check in json.loads(done.out)}

    def test_all_is_well_and_nothing_is_written(self, gog: Gog, copied: Place) -> None:
        before = tree(copied.lake)
        checks = self.checks(gog, "-c", copied.config)
        assert {check["state"] for check in checks.values()} <= {"ok", "warning"}
        assert {"teacher", "judge", "labeller", "detector", "text search", "image search"} <= set(checks)
        assert "corpus:atlas@" in checks["text search"]["found"]
        assert tree(copied.lake) == before

    def test_before_the_first_run(self, gog: Gog, warm: Place, tmp_path: Path) -> None:
        checks = self.checks(gog, "-c", warm.config)
        assert "1 runs" not in checks["lake"]["found"]
        done = gog("doctor", "--lake", tmp_path / "none")
        assert done.code == 0
        assert not (tmp_path / "none").exists()
        assert all(line.split()[0] in {"ok", "warning"} or line.startswith(" ") for line in done.out.splitlines())

    @pytest.mark.parametrize(
        ("changes", "name"),
        [
            ({"text_search": "corpus:nowhere"}, "text search"),
            ({"teacher": "gpt:4"}, "teacher"),
            ({"teacher": "http://127.0.0.1:9/v1#nobody"}, "teacher"),
            ({"teacher": "vllm:some/model", "vllm": {"executable": "no-such-vllm"}}, "teacher"),
            ({"detector": "http://127.0.0.1:9/detect"}, "detector"),
            ({"text_search": "searxng:http://127.0.0.1:9"}, "text search"),
            ({"source": {"kind": "jsonl", "path": "nowhere.jsonl", "dataset": "d", "mapping": {}}}, "source"),
            ({"store": {"mode": "replay"}}, "store"),
        ],
    )
    def test_a_problem_is_named_and_the_exit_code_is_1(
        self, gog: Gog, tmp_path: Path, finished: Place, changes: dict[str, Any], name: str
    ) -> None:
        mapping = {"question": "q", "answers": ["a"], "image": "i"}
        if "source" in changes:
            changes = {"source": changes["source"] | {"mapping": mapping}}
        made = place(tmp_path, **changes)
        made.lake.mkdir()
        (made.lake / "indexes").symlink_to(finished.lake / "indexes")
        checks = self.checks(gog, "-c", made.config, code=1)
        assert [check["name"] for check in checks.values() if check["state"] == "problem"] == [name]
        assert checks[name]["advice"] or "gog index build" in checks[name]["found"]

    def test_the_planner_over_data_of_ones_own_is_a_warning(self, gog: Gog, copied: Place, tmp_path: Path) -> None:
        (tmp_path / "rows.jsonl").write_text('{"q": "What is it?", "a": "a bridge", "i": "bridge.jpg"}\n')
        mapping = {"question": "q", "answers": ["a"], "image": "i"}
        source = {"kind": "jsonl", "path": str(tmp_path / "rows.jsonl"), "dataset": "d", "mapping": mapping}
        data = yaml.safe_load(copied.config.read_text()) | {"source": source, "detector": ""}
        own = tmp_path / "own.yaml"
        own.write_text(yaml.safe_dump(data))
        assert self.checks(gog, "-c", copied.config)["teacher"]["state"] == "ok"
        teacher = self.checks(gog, "-c", own)["teacher"]
        assert teacher["state"] == "warning"
        assert "name a model" in teacher["advice"]

    def test_little_room_on_the_disk(self, gog: Gog, copied: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(doctor, "NO_ROOM", 1 << 62)
        monkeypatch.setattr(doctor, "LITTLE_ROOM", 1 << 62)
        assert self.checks(gog, "-c", copied.config, code=1)["disk"]["state"] == "problem"

    def test_a_lake_of_a_newer_version(self, gog: Gog, copied: Place) -> None:
        (copied.lake / "lake.json").write_text('{"schema_version": 99}')
        assert "upgrade" in self.checks(gog, "-c", copied.config, code=1)["lake"]["found"]

    def test_a_gpu_that_does_not_answer(
        self, gog: Gog, copied: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tool = tmp_path / "nvidia-smi"
        tool.write_text("#!/bin/sh\nexit 9\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        assert self.checks(gog, "-c", copied.config)["GPU"]["state"] == "warning"
        tool.write_text("#!/bin/sh\necho 'H100, 80 GB'\n")
        assert self.checks(gog, "-c", copied.config)["GPU"]["found"] == "H100, 80 GB"

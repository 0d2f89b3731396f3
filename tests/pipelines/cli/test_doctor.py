"""`gog doctor`: what works and what does not."""

import json
from pathlib import Path
from typing import Any

import published
import pytest
import yaml
from calling import Gog, Place, place, tree
from fakes import ScriptedPolicy, said

from gog.pipelines.config.config import Config
from gog.pipelines.connect import addresses
from gog.pipelines.rehearse import doctor, service_checks
from gog.transforms.open_set import OpenSet


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
        done = gog("doctor", "--demo", "--lake", tmp_path / "none")
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
        (tmp_path / "bridge.jpg").write_bytes(published.picture(1))
        mapping = {"question": "q", "answers": ["a"], "image": "i"}
        source = {"kind": "jsonl", "path": str(tmp_path / "rows.jsonl"), "dataset": "d", "mapping": mapping}
        data = yaml.safe_load(copied.config.read_text()) | {"source": source, "detector": ""}
        own = tmp_path / "own.yaml"
        own.write_text(yaml.safe_dump(data))
        assert self.checks(gog, "-c", copied.config)["teacher"]["state"] == "ok"
        teacher = self.checks(gog, "-c", own)["teacher"]
        assert teacher["state"] == "warning"
        assert "name a model" in teacher["advice"]

    @pytest.mark.parametrize(
        ("reply", "found"),
        [
            ('{"verdict": "correct"}', "asked whether Berlin is the capital of France, it says right"),
            ('{"verdict": "wrong"}', "asked whether Paris is the capital of France, it says wrong"),
            ("I am a language model.", "it says nothing that can be read ('I am a language model.'); it is right"),
        ],
    )
    def test_a_judge_that_cannot_be_read_or_tells_nothing_apart(
        self, gog: Gog, copied: Place, monkeypatch: pytest.MonkeyPatch, reply: str, found: str
    ) -> None:
        def open_at(providers: OpenSet[Any], address: str, config: Config, **places: Any) -> Any:
            judge = address == config.judge
            return (
                ScriptedPolicy(lambda _: said(reply))
                if judge
                else addresses.open_at(providers, address, config, **places)
            )

        monkeypatch.setattr(service_checks, "open_at", open_at)
        before = tree(copied.lake)
        check = self.checks(gog, "-c", copied.config, code=1)["judge"]
        assert check["state"] == "problem"
        assert found in check["found"]
        assert tree(copied.lake) == before

    def test_pictures_are_opened_and_seeds_shown(self, gog: Gog, copied: Place, tmp_path: Path) -> None:
        (tmp_path / "photos" / "in").mkdir(parents=True)
        (tmp_path / "photos" / "in" / "1.jpg").write_bytes(published.picture(1))
        (tmp_path / "rows.csv").write_text("q,a,i,note\nWhat is it?,a bridge|a road,in/1.jpg,x\n")
        mapping = {"question": "q", "answers": ["a"], "image": "i"}
        source = {"kind": "csv", "path": str(tmp_path / "rows.csv"), "dataset": "d", "mapping": mapping}
        own = tmp_path / "own.yaml"
        data = yaml.safe_load(copied.config.read_text()) | {"source": source, "detector": ""}
        own.write_text(yaml.safe_dump(data))
        checks = self.checks(gog, "-c", own, code=1)
        assert checks["pictures"]["state"] == "problem"
        assert checks["pictures"]["advice"] == f"set source.image_root: {tmp_path / 'photos'}"
        own.write_text(yaml.safe_dump(data | {"source": source | {"image_root": str(tmp_path / "wrong")}}))
        assert self.checks(gog, "-c", own, code=1)["pictures"]["state"] == "problem"
        own.write_text(yaml.safe_dump(data | {"source": source | {"image_root": str(tmp_path / "photos")}}))
        checks = self.checks(gog, "-c", own)
        assert checks["pictures"]["state"] == "ok"
        told = ["What is it?", str(tmp_path / "photos" / "in" / "1.jpg"), "JPEG", "a bridge|a road", "string"]
        assert [word for word in told if word not in checks["seed 1"]["found"]] == []
        assert checks["source"]["state"] == "warning"
        assert "ignored: note" in checks["source"]["advice"]
        assert "answer_separator" in checks["source"]["advice"]

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

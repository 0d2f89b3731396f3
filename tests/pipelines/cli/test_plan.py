"""`gog plan`: nothing is called, and what a run makes lies in what it says."""

import json
from pathlib import Path
from typing import Any

import pytest
from calling import Gog, Place, place, tree


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
        assert assumed["kept"] is None
        assert (assumed["previewed"], any(line["sampled"] for line in assumed["lines"])) == (0, False)
        assert gog("preview", "-n", "5", "-c", warm.config).code == 0
        plan = planned(gog, "-c", warm.config)
        assert plan["previewed"] == 5
        assert {line["purpose"] for line in plan["lines"] if line["sampled"]} >= {"screen", "episode", "compose"}
        assert all(not line["sampled"] for line in plan["lines"] if line["purpose"] == "label")
        assert any("preview of 5 seeds" in note for note in plan["notes"])
        shown = gog("plan", "-c", warm.config).out
        assert "screen +" in shown
        assert f"It will keep {plan['kept']['low']} to {plan['kept']['high']} trajectories" in shown
        assert any("of 5 previewed seeds had a right attempt" in note for note in plan["notes"])
        status = json.loads(gog("status", "--lake", finished.lake, "--json").out)
        made = sum(line["calls"] for line in status["spend"] if line["purpose"] == "screen")
        found = [line["calls"] for line in plan["lines"] if line["purpose"] == "screen"]
        assert sum(calls["low"] for calls in found) <= made <= sum(calls["high"] for calls in found)
        assert plan["calls"]["low"] <= status["calls"] <= plan["calls"]["high"]
        kept = next(line for line in status["funnel"] if line["stage"] == "curate")
        assert kept["passed"] <= plan["kept"]["high"] + 1

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
        assert any("no price is known for my/model" in note for note in plan["notes"])
        done = gog("run", "-c", made.config)
        assert done.code == 2
        assert "no price is known for my/model" in done.error

    def test_a_model_has_one_name_whoever_asks_it_for_what(self, gog: Gog, tmp_path: Path) -> None:
        address = "http://127.0.0.1:9/v1#mine"
        made = place(tmp_path, judge=address)
        plan = planned(gog, "-c", made.config)
        assert {line["purpose"] for line in plan["lines"] if line["service"] == address} >= {"verify", "compose"}
        table = gog("plan", "-c", made.config).out
        assert " mine  " in table
        assert "127.0.0.1" not in table

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


def test_nothing_is_started_to_plan(gog: Gog, tmp_path: Path) -> None:
    made = place(tmp_path, count=4, teacher="vllm:m", vllm={"executable": "/no/such/vllm"})
    assert gog("plan", "--config", made.config).code == 0

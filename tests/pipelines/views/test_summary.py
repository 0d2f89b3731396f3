import io
import json
from pathlib import Path
from typing import Any

import pytest
from lakes import counted, small_run, write

from gog.pipelines.lake.lake import Lake
from gog.pipelines.views.database import open_lake
from gog.pipelines.views.summary import PLAIN_WIDTH, Summary, console_for, print_summary, summarise
from gog.schemas import Event, Unit


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return small_run(tmp_path / "lake")


def summary_of(lake: Lake) -> Summary:
    with open_lake(lake.run_folder("small")) as connection:
        return summarise(connection)


def printed(summary: Summary) -> str:
    stream = io.StringIO()
    print_summary(summary, console_for(stream))
    return stream.getvalue()


def words(text: str, start: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip().startswith(start)]


class TestPrinted:
    def test_shows_funnel_spend_behaviours_and_levels(self, lake: Lake) -> None:
        text = printed(summary_of(lake))
        assert words(text, "verify") == [["verify", "trajectory", "12", "6", "6", "verify.wrong", "6"]]
        assert words(text, "planner:skill=0.85") == [
            ["planner:skill=0.85", "chat", "episode", "2", "2", "1", "220", "0.02"]
        ]
        assert ["rollout", "mixed", "10", "4", "4", "100.0%", "100.0%"] in words(text, "rollout")
        assert ["all", "all", "12", "6", "6", "100.0%", "100.0%"] in words(text, "all")
        assert words(text, "planner:skill=0.5 ")[1][1:] == ["1", "1", "33.3%", "0.50", "0.50", "0.50"]

    def test_is_plain_without_a_terminal(self, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in (("FORCE_COLOR", "1"), ("COLUMNS", "100"), ("TERM", "xterm-256color")):
            monkeypatch.setenv(name, value)
        text = printed(summary_of(lake))
        assert "\x1b" not in text
        assert max(map(len, text.splitlines())) <= PLAIN_WIDTH
        assert "planner:skill=0.85" in text

    def test_says_when_it_does_not_add_up(self, lake: Lake) -> None:
        assert "DOES NOT ADD UP" not in printed(summary_of(lake))
        write(lake, "small", "funnel", [counted("screen", Unit.SEED, 2, 0, shard=1)], step="more")
        assert "DOES NOT ADD UP" in printed(summary_of(lake))

    def test_an_empty_run_prints_nothing(self, tmp_path: Path) -> None:
        assert printed(summary_of(Lake(tmp_path))) == ""

    def test_foreign_names_are_shown_as_they_are(self, lake: Lake) -> None:
        event: dict[str, Any] = {"key": "k", "kind": "chat", "purpose": "label", "started": 1.0, "latency_s": 1.0}
        hostile = Event(**event, provider="[red]x[/red]\x1b[31m\nnext\u202e", attempts=1, from_store=False)
        write(lake, "small", "events", [hostile], step="more")
        text = printed(summary_of(lake))
        assert "[red]x[/red] [31m next" in text
        assert not set("\x1b\u202e") & set(text)
        assert words(text, "all")[0][0] == "all"

    def test_a_stream_that_takes_ascii_alone(self, lake: Lake) -> None:
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, encoding="ascii")
        print_summary(summary_of(lake), console_for(stream))
        stream.flush()
        assert b"verify.wrong" in raw.getvalue()


class TestPlain:
    def test_is_json(self, lake: Lake) -> None:
        summary = json.loads(json.dumps(summary_of(lake)))
        assert summary["funnel"][0] == {
            "stage": "ingest",
            "unit": "row",
            "entered": 7,
            "passed": 6,
            "rejected": 1,
            "balanced": True,
        }
        assert summary.keys() == {
            "funnel",
            "reasons",
            "spend",
            "providers",
            "behaviours",
            "categories",
            "levels",
            "benchmark_warnings",
            "over_quota",
        }

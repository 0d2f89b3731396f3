"""The page on cost, and the README: their figures are what `gog plan` says of the page's config today."""

import json
import re
from pathlib import Path

import pytest
import yaml
from calling import Gog

from gog.pipelines.show.words import spell

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "cost.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
TEACHERS = {
    "gpt-4o": "https://api.openai.com/v1#gpt-4o",
    "gpt-5-mini": "https://api.openai.com/v1#gpt-5-mini",
    "Qwen3-VL-8B of your own": "http://localhost:8000/v1#Qwen/Qwen3-VL-8B-Instruct",
}


@pytest.mark.parametrize("teacher", TEACHERS)
def test_its_figures_are_those_of_the_plan(
    teacher: str, gog: Gog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = re.search(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert found
    Path("gog.yaml").write_text(yaml.safe_dump(yaml.safe_load(found[1]) | {"teacher": TEACHERS[teacher]}), "utf-8")
    done = gog("plan", "--json")
    assert done.code == 0, done.err
    plan = json.loads(done.out)
    costs = [line["cost"] for line in plan["lines"] if line["cost"]]
    low, high = (round(sum(cost[end] for cost in costs)) for end in ("low", "high"))
    assert f"| {teacher} | {low} to {high}" in PAGE
    (row,) = [line for line in README.splitlines() if line.startswith(f"| {teacher} | {low} to {high}")]
    assert row.endswith(f"| {spell(plan['seconds']['low'])} to {spell(plan['seconds']['high'])} |")

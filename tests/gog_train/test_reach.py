"""How many questions rules can settle is told by answer type, and what becomes of the rest."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from training import small, trl_export

from gog.pipelines.config.config import Config
from gog.transforms.verify.settles import Settles
from gog_train.questions import GOLD
from gog_train.reach import reach


def row(*answers: str, kind: str = "string") -> dict[str, Any]:
    unit = {"answer_unit": "", "answer_low": None, "answer_high": None}
    return {"question": "?", "answers": list(answers), "answer_type": kind, **unit}


ROWS = [row("Kenya"), row("5 km", kind="number"), row("a few", kind="number"), row("x" * 1001)]


def test_it_is_counted_by_answer_type() -> None:
    counts, line, advice = reach(ROWS, "mask", judge=False)
    assert counts == {
        ("number", Settles.BOTH): 1,
        ("number", Settles.CONFIRMS): 1,
        ("string", Settles.CONFIRMS): 1,
        ("string", Settles.NOTHING): 1,
    }
    assert line == (
        "rules settle answers to 4 questions: 25% both ways, 50% only as right, 25% never (number: 1 both ways, 1 only "
        "as right; string: 1 only as right, 1 never); answers that they leave open are masked"
    )
    assert advice == "name a judge, or set `unsettled: zero` if no other wording is right"


def test_advice_is_for_what_a_wrong_answer_teaches_nothing() -> None:
    _, line, advice = reach(ROWS, "zero", judge=False)
    assert line.endswith("answers that they leave open are paid 0")
    assert advice == "name a judge"
    _, line, advice = reach(ROWS, "mask", judge=True)
    assert (line.endswith("; a judge is asked about the rest"), advice) == (True, "")
    assert reach(ROWS[1:2], "mask", judge=False).advice == ""
    assert reach([], "mask", judge=False).line.startswith("rules settle answers to 0 questions: none")


@pytest.mark.usefixtures("_small")
def test_of_the_world_numbers_dates_and_yes_or_no_are_settled_both_ways(tiny: Config, tmp_path: Path) -> None:
    folder = trl_export(tiny, "rl", small("qwen3-vl"), tmp_path)
    files = sorted(folder.rglob("*.parquet"))
    rows = [one for path in files for one in pq.read_table(path, columns=list(GOLD)).to_pylist()]
    counts = reach(rows, "mask", judge=False).counts
    assert counts.total() == len(rows) > 10
    kinds = {kind for kind, _ in counts}
    assert kinds >= {"number", "string"}
    assert {(kind, Settles.CONFIRMS if kind == "string" else Settles.BOTH) for kind in kinds} == set(counts)

"""What is kept of a table, and what is said to have moved."""

from pathlib import Path

import pytest
from bench.record import Line, keep, last, moved


def test_the_newest_record_of_such_a_machine_is_the_last(tmp_path: Path) -> None:
    assert last("2 cores", tmp_path) == ("", {})
    old, new = Line("calls", "90", "80 to 95"), Line("calls", "1,099 (91% of bare)", "1060 to 1146", "at least 85%")
    keep([new], "2026-11-30", "2 cores", tmp_path)
    keep([old], "2026-11-02", "2 cores", tmp_path)
    keep([old], "2026-12-01", "64 cores", tmp_path)
    assert last("2 cores", tmp_path) == ("2026-11-30", {"calls": new})


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        (Line("a", "1,200 (91% of bare)", "1190 to 1210"), Line("a", "1000", "990 to 1010"), "+20%"),
        (Line("a", "0.16", "0.16 to 0.17"), Line("a", "0.20", "0.19 to 0.21"), "-20%"),
        (Line("a", "1009", "1000 to 1020"), Line("a", "1000", "990 to 1010"), "same"),
        (Line("a", "616"), Line("a", "616"), "same"),
        (Line("a", "3"), Line("a", "0"), "0 before"),
        (Line("a", "3"), None, "new"),
    ],
)
def test_what_lies_within_a_spread_has_not_moved(now: Line, before: Line | None, said: str) -> None:
    assert moved(now, before) == said

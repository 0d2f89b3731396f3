"""What is kept of a table, and what is said to have moved."""

from pathlib import Path

import pytest
from bench.record import PAGE, RECORDS, Line, Record, keep, kept, last, moved, named, page


def test_the_newest_earlier_record_of_such_a_machine_is_the_last(tmp_path: Path) -> None:
    assert last("2 cores", "2027-01-01", tmp_path) is None
    old, new = Line("calls", "90", "80 to 95"), Line("calls", "1,099 (91% of bare)", "1060 to 1146", "at least 85%")
    newest = Record("2026-11-30", "2 cores", 0.5, (new,))
    for record in (newest, Record("2026-11-02", "2 cores", 0.0, (old,)), Record("2026-12-01", "64 cores", 0.0, (old,))):
        keep(record, tmp_path)
    assert last("2 cores", "2027-01-01", tmp_path) == newest
    earlier = last("2 cores", "2026-11-30", tmp_path)
    assert earlier is not None
    assert earlier.lines == (old,)


def test_what_was_measured_before_on_the_day_stays(tmp_path: Path) -> None:
    keep(Record("2026-11-30", "2 cores", 0.5, (Line("calls", "100"), Line("seeds", "8"))), tmp_path)
    keep(Record("2026-11-30", "2 cores", 9.0, (Line("seeds", "9"), Line("pictures", "7"))), tmp_path)
    (record,) = kept(tmp_path)
    assert [(line.what, line.found) for line in record.lines] == [("calls", "100"), ("seeds", "9"), ("pictures", "7")]
    assert record.load == 9.0


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        (Line("a", "1,200 (91% of bare)", "1190 to 1210"), Line("a", "1000", "990 to 1010"), "+20%"),
        (Line("a", "0.16", "0.16 to 0.17"), Line("a", "0.20", "0.19 to 0.21"), "-20%"),
        (Line("a", "1009", "1000 to 1020"), Line("a", "1000", "990 to 1010"), "same"),
        (Line("a", "616"), Line("a", "616"), "same"),
        (Line("a", "3"), Line("a", "0"), "0 before"),
        (Line("a", "1,250, 1000, 90"), Line("a", "1,250, 500, 100"), "same, +100%, -10%"),
        (Line("a", "3"), None, "new"),
    ],
)
def test_what_lies_within_a_spread_has_not_moved(now: Line, before: Line | None, said: str) -> None:
    assert moved(now, before) == said


def test_the_page_has_a_column_a_day_for_each_machine_and_says_what_moved(tmp_path: Path) -> None:
    keep(Record("2026-11-01", "2 cores", 0.5, (Line("calls", "100"), Line("gone", "1"))), tmp_path)
    keep(Record("2026-11-02", "2 cores", 9.0, (Line("seeds", "8"),)), tmp_path)
    keep(Record("2026-11-03", "64 cores", 1.0, (Line("calls", "900"),)), tmp_path)
    keep(Record("2026-11-04", "2 cores", 1.0, (Line("calls", "120"), Line("seeds", "8"))), tmp_path)
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (tmp_path / PAGE).read_text("utf-8").splitlines()
        if line.startswith("| ") and not line.startswith("| ---")
    ]
    assert rows == [
        ["", "2026-11-01, load 0.5", "2026-11-02, load 9", "2026-11-04, load 1"],
        ["calls", "100", "", "120; +20%"],
        ["gone", "1", "", ""],
        ["seeds", "", "8", "8; same"],
        ["", "2026-11-03, load 1"],
        ["calls", "900"],
    ]


def test_a_line_that_belongs_to_another_is_told_from_one_of_the_same_words() -> None:
    lines = [Line("a", "1"), Line("... ideal", "2"), Line("b", "3"), Line("... ideal", "4")]
    found = named(lines)
    assert [*found.values()] == lines
    assert found["b", "... ideal"].found == "4"


def test_the_page_in_the_documentation_is_of_the_records_beside_it() -> None:
    assert (RECORDS / PAGE).read_text("utf-8") == page(kept())

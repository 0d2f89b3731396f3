"""`gog report`, and the page that `gog run` leaves."""

from pathlib import Path

from calling import Gog, Place


def test_a_run_ends_with_its_report(finished: Place) -> None:
    text = (finished.run / "report.html").read_text("utf-8")
    assert text.startswith("<!doctype html>")
    assert text.count("<article>") > 3
    assert (finished.run / "lake.duckdb").exists()


def test_again(gog: Gog, copied: Place) -> None:
    for name in ("report.html", "lake.duckdb"):
        (copied.run / name).unlink()
    done = gog("report", "--lake", copied.lake)
    assert (done.code, done.err) == (0, "")
    assert done.out.strip() == str(copied.run / "report.html")
    assert (copied.run / "report.html").stat().st_size < 5_000_000
    assert (copied.run / "lake.duckdb").exists()


def test_elsewhere(gog: Gog, finished: Place, tmp_path: Path) -> None:
    done = gog("report", "--lake", finished.lake, "--out", tmp_path / "a.html")
    assert done.code == 0
    assert (tmp_path / "a.html").exists()


def test_a_folder_that_is_not_there(gog: Gog, finished: Place, tmp_path: Path) -> None:
    done = gog("report", "--lake", finished.lake, "--out", tmp_path / "none" / "a.html")
    assert done.code == 2
    assert "there is no folder" in done.error

"""A signature of files tells of every write, and of files that vanish between being listed and looked at."""

import os
from pathlib import Path

import pytest
from lakes import small_run

from gog.pipelines.lake.lake import Lake
from gog.pipelines.lake.signature import signature_of
from gog.pipelines.show.web.listed import signature


def test_it_changes_with_what_is_written_comes_or_goes(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"1")
    seen = [signature_of([one, two])]
    two.write_bytes(b"2")
    seen.append(signature_of([one, two]))
    os.utime(two, (1, 1))
    seen.append(signature_of([one, two]))
    one.rename(tmp_path / "three")
    seen.append(signature_of([tmp_path / "three", two]))
    assert len(set(seen)) == 4
    assert signature_of([tmp_path / "three", two]) == seen[-1]
    assert signature_of([one, tmp_path / "three", two]) == seen[-1], "what is not there is passed over"


def test_a_part_that_vanishes_between_listing_and_looking_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = small_run(tmp_path)
    before, listed = signature(lake, "small"), Lake.parts
    monkeypatch.setattr(Lake, "parts", lambda *args: [*listed(*args), tmp_path / "gone"])
    assert signature(lake, "small") == before

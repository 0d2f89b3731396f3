import json
from itertools import pairwise
from pathlib import Path

import pytest

from gog.pipelines.show.web import curves
from gog.pipelines.show.web.curves import MOST_POINTS, Point, read_curves


def line(step: object, **values: object) -> str:
    return json.dumps({"step": step, "time": "2026-01-02T03:04:05", "values": values}) + "\n"


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "curves.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_each_name_is_a_curve_over_the_steps_that_have_it(tmp_path: Path) -> None:
    text = line(1, reward=0.25, kl=0) + line(2, reward=0.5) + line(4, reward=0.75, eval_accuracy=1)
    read = read_curves(written(tmp_path, text))
    assert read
    assert read.curves == {
        "reward": [Point(1, 0.25), Point(2, 0.5), Point(4, 0.75)],
        "kl": [Point(1, 0.0)],
        "eval_accuracy": [Point(4, 1.0)],
    }
    assert (read.lines, read.bad, read.every, read.last_time) == (3, 0, 1, "2026-01-02T03:04:05")


def test_there_are_none_without_a_file(tmp_path: Path) -> None:
    assert read_curves(tmp_path / "curves.jsonl") is None


@pytest.mark.parametrize(
    "bad",
    [
        "{broken",
        "[1]",
        "null",
        '"step"',
        '{"step": 1}',
        line("1", reward=1).strip(),
        line(True, reward=1).strip(),
        line(-1, reward=1).strip(),
        '{"step": 3, "values": [1]}',
        "[" * 100_000,
        "\x00\xff",
    ],
)
def test_a_bad_line_is_passed_over_and_counted(tmp_path: Path, bad: str) -> None:
    read = read_curves(written(tmp_path, line(1, reward=1) + bad + "\n" + line(2, reward=2)))
    assert read
    assert read.curves == {"reward": [Point(1, 1.0), Point(2, 2.0)]}
    assert (read.lines, read.bad) == (3, 1)


def test_what_is_no_finite_number_is_left_out_of_its_line(tmp_path: Path) -> None:
    text = '{"step": 1, "values": {"a": NaN, "b": Infinity, "c": "1", "d": true, "e": null, "f": 1e999, "g": 2}}\n'
    huge = '{"step": 2, "values": {"g": ' + "9" * 400 + "}}\n"
    read = read_curves(written(tmp_path, text + huge))
    assert read
    assert read.curves == {"g": [Point(1, 2.0)]}
    assert read.bad == 0


def test_the_line_that_is_being_written_is_not_read(tmp_path: Path) -> None:
    read = read_curves(written(tmp_path, line(1, reward=1) + '{"step": 2, "val'))
    assert read
    assert (read.lines, read.bad) == (1, 0)


def test_after_a_step_back_the_later_lines_count(tmp_path: Path) -> None:
    text = "".join(line(step, reward=step) for step in (1, 2, 3, 4)) + line(3, reward=30) + line(4, reward=40)
    read = read_curves(written(tmp_path, text))
    assert read
    assert read.curves["reward"] == [Point(1, 1.0), Point(2, 2.0), Point(3, 30.0), Point(4, 40.0)]


def test_a_long_curve_is_thinned_out_between_its_ends(tmp_path: Path) -> None:
    read = read_curves(written(tmp_path, "".join(line(step, loss=step) for step in range(3001))))
    assert read
    points = read.curves["loss"]
    assert len(points) == MOST_POINTS
    assert (points[0].step, points[-1].step) == (0, 3000)
    gaps = {after.step - before.step for before, after in pairwise(points)}
    assert gaps == {6, 7}


def test_of_a_file_that_is_long_a_share_of_the_lines_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(line(step, loss=step) for step in range(1000))
    monkeypatch.setattr(curves, "READ_BYTES", len(text) // 4 + 1)
    read = read_curves(written(tmp_path, text))
    assert read
    assert (read.every, read.lines, read.bad) == (4, 250, 0)
    assert [point.step for point in read.curves["loss"][:3]] == [0, 4, 8]
    monkeypatch.setattr(curves, "MOST_BYTES", len(text) - 1)
    read = read_curves(written(tmp_path, text))
    assert read
    assert read.too_long
    assert not read.curves


def test_names_are_few_and_short(tmp_path: Path) -> None:
    read = read_curves(written(tmp_path, line(1, **{f"{n:03}" + "x" * 100: n for n in range(200)})))
    assert read
    assert len(read.curves) == curves.MOST_CURVES
    assert {len(name) for name in read.curves} == {curves.LONGEST_NAME}

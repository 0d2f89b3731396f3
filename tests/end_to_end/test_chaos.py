"""A handful of the runs of `make chaos`, and that what they look for is found."""

import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from chaos.endpoint import Asked, Endpoint
from chaos.faults import KINDS
from chaos.run import kind_of, numbers_of
from chaos.scene import Reference, Scene
from runs import records, run_folder

from gog.pipelines.config.config import Config

TESTS = Path(__file__).parents[1]
QUICK = {7: "kill while lying", 47: "full disk"}
"""By numbers of one world: one undisturbed run is enough."""


@pytest.mark.slow
def test_a_handful_of_disturbed_runs(tmp_path: Path) -> None:
    assert {number: kind_of(number) for number in QUICK} == QUICK
    only = [word for number in QUICK for word in ("--only", str(number))]
    command = [sys.executable, "-m", "chaos.run", "--seeds", "6", "--jobs", "1", "--out", str(tmp_path / "out"), *only]
    environment = os.environ | {"PYTHONPATH": str(TESTS), "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    table = (tmp_path / "out" / "table.md").read_text()
    rows = re.findall(r"^\| (.+?) \| (\d+) \| \d+ \| (\d+)", table, re.MULTILINE)
    runs = {kind: (int(made), int(equal)) for kind, made, equal in rows}
    left_out = set(re.findall("left out: (.+?):", done.stdout))
    tried = set(QUICK.values()) - left_out
    assert runs == dict.fromkeys(tried, (1, 1)) | {"all": (len(tried), len(tried))}
    assert list(tmp_path.glob("gog-chaos-*")) == []


@pytest.fixture
def scene(tiny: Config, tmp_path: Path) -> Scene:
    """A finished run to look at."""
    shutil.copytree(tiny.lake, tmp_path / "lake")
    config = tiny.model_copy(update={"lake": str(tmp_path / "lake")})
    reference = Reference(Path(tiny.lake), records(tiny), frozenset(), 0, 0)
    return Scene(tmp_path, config, Endpoint(), reference, random.Random(0))


def test_a_sound_run_has_no_problems(scene: Scene) -> None:
    assert scene.check()
    assert scene.problems == []


def test_an_export_that_differs_is_found(scene: Scene) -> None:
    with next(run_folder(scene.config).glob("exports/sft/data/*.parquet")).open("ab") as file:
        file.write(b"x")
    assert not scene.check()
    assert "1 files of tiny differ: exports/sft/data/" in scene.problems[0]


def test_what_is_left_behind_is_found(scene: Scene) -> None:
    (scene.lake / "store" / "answers.tmp").write_text("half")
    picture = next(scene.lake.glob("images/*/*.jpg"))
    shutil.copyfile(picture, picture.with_stem("ab" * 32))
    scene.check()
    assert any(problem.startswith("left behind: ['store/answers.tmp']") for problem in scene.problems)
    assert any(problem.startswith("pictures are not what their names say") for problem in scene.problems)


def test_a_call_that_is_repeated_though_it_was_kept_is_found(scene: Scene) -> None:
    scene.endpoint.asked += [Asked("a", 0, 1), Asked("b", 0, 1), Asked("a", 2, 3), Asked("b", 2, 3)]
    scene.in_flight.append(1)
    scene.check()
    assert "2 calls repeated, [1] in flight" in scene.problems


def test_a_call_that_was_lied_to_may_come_again(scene: Scene) -> None:
    scene.endpoint.asked += [Asked("a", 0, 1, lied=True), Asked("a", 2, 3)]
    assert scene.repeated.total() == 0


def test_a_number_has_its_kind_whatever_is_left_out() -> None:
    assert numbers_of(4, None, ["kill", "lying"]) == [0, 1, len(KINDS), len(KINDS) + 1]
    assert numbers_of(200, [1, 2], ["lying"]) == [1]

"""`-v` and `-vv`: the log on standard error, quiet without them."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from calling import Gog, place

from gog.pipelines.cli.logs import show_logs, take_verbosity


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root, ours, disabled = logging.getLogger(), logging.getLogger("gog"), logging.root.manager.disable
    handlers, level = root.handlers, root.level
    root.handlers = []
    yield
    root.handlers, root.level, ours.level = handlers, level, logging.NOTSET
    logging.disable(disabled)


def test_the_options_stand_anywhere_before_the_runners_own() -> None:
    assert take_verbosity(["-v", "run", "-vv", "--", "-v"]) == (["run", "--", "-v"], 3)
    assert take_verbosity(["run"]) == (["run"], 0)


def test_a_run_tells_its_parts_and_its_calls_when_asked_to(gog: Gog, tmp_path: Path) -> None:
    there = place(tmp_path, count=2)
    show_logs(2)
    done = gog("run", "-c", str(there.config))
    lines = done.err.splitlines()
    assert done.code == 0
    parts = [line for line in lines if " INFO    gog.transforms.beam.parts part written " in line]
    assert any("step=synthesize table=trajectories" in line for line in parts)
    calls = [line for line in lines if " DEBUG   gog.transforms.services.gateway.gateway call " in line]
    assert any("kind='chat'" in line for line in calls)


def test_without_them_nothing_is_logged(gog: Gog, tmp_path: Path) -> None:
    show_logs(0)
    done = gog("run", "-c", str(place(tmp_path, count=2).config))
    assert "part written" not in done.err


def test_text_from_outside_cannot_begin_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_logs(1)
    logging.getLogger("gog.test").info("title=%s", "a\n2026-01-01 ERROR gog all is lost\x1b[2J")
    logging.getLogger("some.library").warning("no news")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_what_a_worker_of_the_local_runner_logs_is_unpacked(capsys: pytest.CaptureFixture[str]) -> None:
    show_logs(1)
    here = Path(show_logs.__code__.co_filename)
    entry = f'severity: INFO\nmessage: "part written rows=3"\ninstruction_id: "b"\nlog_location: "{here}:9"\n'
    logging.info(entry)
    logging.info(entry.replace(str(here), "/elsewhere/library.py"))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("gog (worker) part written rows=3")

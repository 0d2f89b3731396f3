"""Progress on standard error."""

import io

import pytest
from calling import Place

from gog.pipelines.cli import progress
from gog.pipelines.cli.progress import Progress
from gog.pipelines.config.config import load_config


def test_progress_is_a_plain_line_without_a_terminal(finished: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_EVERY", 0.01)
    stream = io.StringIO()
    with Progress(load_config(finished.config), stream) as shown:
        shown.shard("synthesize", 1, 3)
        shown._stop.wait(0.1)
    lines = stream.getvalue().splitlines()
    assert lines
    assert all("synthesize 2/3" in line and "\x1b" not in line for line in lines)

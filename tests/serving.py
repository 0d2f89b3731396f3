"""`gog serve-planner` in a process of its own."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from gog.transforms.atlas.planner.policy import planner_id

SKILLS = {"teacher": 0.85, "judge": 1.0, "labeller": 0.5}
"""Skills of the models of the bundled config."""


@dataclass
class Served:
    """A server: its base URL, what it said when it began, and, once it has ended, what it counted."""

    address: str
    said: str
    counted: dict[str, int] = field(default_factory=dict)

    @property
    def models(self) -> dict[str, Any]:
        """The config's keys for models, with their addresses at this server."""
        return {role: f"{self.address}#{planner_id(skill)}" for role, skill in SKILLS.items()}


@contextmanager
def served(*options: str) -> Iterator[Served]:
    """A server on a free port, ended with Ctrl-C."""
    command = [sys.executable, "-m", "gog.pipelines.cli.main", "serve-planner", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            said = ""
            while "/stats" not in said:
                line = process.stdout.readline()
                assert line, process.communicate()[1]
                said += line
            found = re.search(r"http://\S+/v1\b", said)
            assert found, said
            server = Served(found[0], said)
            yield server
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
        except BaseException:
            process.kill()
            raise
    assert (process.returncode, err) == (0, ""), err
    server.counted = {name: int(count) for count, name in re.findall(r"(\d+) (requests|answered)", out)}
    server.counted |= {name: int(count) for name, count in re.findall(r"([\w-]+) (\d+)", out.partition("faults: ")[2])}

"""`gog` from its first moment on."""

import subprocess
import sys

import pytest

INTERRUPTED = """
import sys

class Stop:
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Stop())
sys.argv = ["gog", "--version"]
from gog.__main__ import main
main()
"""


@pytest.mark.parametrize("module", ["gog.pipelines.cli.main", "typer", "gog.pipelines.cli.logs"])
def test_ctrl_c_while_the_command_line_is_imported_is_one_line(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED.format(module=module)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "gog: stopped; what was finished is kept, the same command goes on\n"


def test_python_runs_it_by_name() -> None:
    done = subprocess.run([sys.executable, "-m", "gog", "--version"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stdout.startswith("gog ")
    wrong = subprocess.run([sys.executable, "-m", "gog", "nonsense"], capture_output=True, text=True, timeout=60)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("gog: ")

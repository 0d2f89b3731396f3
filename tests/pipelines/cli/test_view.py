"""`gog view`: wrong use, serving until Ctrl-C, a port that is taken."""

import re
import signal
import subprocess
import sys
import urllib.request

import pytest
from calling import Gog, Place


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--run", "none"], "there is no run 'none'"),
        (["--reviewer", "x" * 61], "--reviewer: a reviewer has a name of 1 to 60 characters"),
        (["--port", "70000"], "--port"),
    ],
)
def test_wrong_use_is_told(gog: Gog, finished: Place, args: list[str], said: str) -> None:
    done = gog("view", "--lake", finished.lake, *args)
    assert done.code == 2
    assert said in done.error


def test_view_serves_until_ctrl_c_and_a_taken_port_is_told(gog: Gog, finished: Place) -> None:
    command = [sys.executable, "-m", "gog.pipelines.cli.main", "view", "--lake", str(finished.lake), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address = re.search(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())
            assert address
            with urllib.request.urlopen(address[0], timeout=20) as page:
                assert page.status == 200
                assert b"trajector" in page.read()
            taken = gog("view", "--lake", finished.lake, "--port", address[1])
            assert (taken.code, f"cannot listen on port {address[1]}" in taken.error) == (1, True)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
        except BaseException:
            process.kill()
            raise
    assert (process.returncode, err) == (0, "")

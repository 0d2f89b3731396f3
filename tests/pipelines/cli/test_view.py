"""`gog view`: wrong use, serving until Ctrl-C, a port that is taken."""

import ipaddress
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from calling import Gog, Place

from gog.pipelines.cli.errors import UseError
from gog.pipelines.cli.view import _token


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--run", "none"], "there is no run 'none'"),
        (["--reviewer", "x" * 61], "--reviewer: a reviewer has a name of 1 to 60 characters"),
        (["--port", "70000"], "--port"),
        (["--host", "0.0.0.0", "--no-token"], "--no-token: others reach 0.0.0.0"),
        (["--user-header", "X-Forwarded-User"], "--user-header and --trust-proxy go together"),
        (["--trust-proxy", "10.0.0.7"], "--user-header and --trust-proxy go together"),
        (["--user-header", "X-User", "--trust-proxy", "proxy.example"], "'proxy.example' is no address"),
        (["--user-header", "X-User", "--trust-proxy", "0.0.0.0/0"], "0.0.0.0/0 is everybody"),
        (["--user-header", "X-User", "--trust-proxy", "127.0.0.1"], "set GOG_VIEW_TOKEN"),
        (["--user-header", "X User", "--trust-proxy", "10.0.0.7"], "is no header's name"),
        (["--name", "review.example.org/path"], "is no name"),
        (["--name", "ftp://review.example.org"], "is no name"),
        (["--name", "a b"], "is no name"),
    ],
)
def test_wrong_use_is_told(gog: Gog, finished: Place, args: list[str], said: str) -> None:
    done = gog("view", "--lake", finished.lake, *args)
    assert done.code == 2
    assert said in done.error


def test_a_token_of_ones_own_is_long(gog: Gog, finished: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOG_VIEW_TOKEN", "short")
    done = gog("view", "--lake", finished.lake)
    assert done.code == 2
    assert "GOG_VIEW_TOKEN has 5 characters: at least 16" in done.error
    assert "short" not in done.error


def test_view_serves_until_ctrl_c_and_a_taken_port_is_told(gog: Gog, finished: Place) -> None:
    command = [sys.executable, "-m", "gog.pipelines.cli.main", "view", "--lake", str(finished.lake), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            link = re.fullmatch(
                r"Open (http://127\.0\.0\.1:(\d+)/)\?token=(\S{32}) in a browser; Ctrl-C ends it\n",
                process.stdout.readline(),
            )
            assert link
            reading = re.fullmatch(
                rf"To let somebody look, and change nothing: {re.escape(link[1])}\?token=(\S{{32}})\n",
                process.stdout.readline(),
            )
            assert reading
            assert reading[1] != link[3]
            for token in (link[3], reading[1]):
                asked = urllib.request.Request(link[1], headers={"Authorization": f"Bearer {token}"})
                with urllib.request.urlopen(asked, timeout=20) as page:
                    assert page.status == 200
                    assert b"trajector" in page.read()
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(link[1], timeout=20)
            taken = gog("view", "--lake", finished.lake, "--port", link[2])
            assert (taken.code, f"cannot listen on port {link[2]}" in taken.error) == (1, True)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
        except BaseException:
            process.kill()
            raise
    assert (process.returncode, err) == (0, "")


def test_a_proxy_at_an_address_of_this_machine_needs_a_token_that_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "bind", lambda *_: None)
    proxy = (ipaddress.ip_network("203.0.113.7"),)
    with pytest.raises(UseError, match="set GOG_VIEW_TOKEN"):
        _token("0.0.0.0", "X-User", proxy, no_token=False)
    assert _token("0.0.0.0", "X-User", (ipaddress.ip_network("203.0.113.0/24"),), no_token=False)
    monkeypatch.setenv("GOG_VIEW_TOKEN", "a-token-of-our-own")
    assert _token("0.0.0.0", "X-User", proxy, no_token=False) == "a-token-of-our-own"

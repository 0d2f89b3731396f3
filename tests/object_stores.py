"""An S3 server of moto's in a process of its own, with a log of what was asked of it."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BUCKET = "lakes"
KEYS = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_REGION": "us-east-1"}


@dataclass(frozen=True)
class S3:
    """The server, empty but for a bucket."""

    endpoint: str
    log: Path

    @property
    def environment(self) -> dict[str, str]:
        """What leads obstore to it."""
        return KEYS | {"AWS_ENDPOINT_URL": self.endpoint}

    def asked(self) -> Counter[str]:
        """Requests so far, by kind."""
        kinds: Counter[str] = Counter()
        for method, path in re.findall(r'"([A-Z]+) (\S+) HTTP', self.log.read_text("utf-8", "replace")):
            kinds["LIST" if method == "GET" and "list-type=2" in path else method] += 1
        return kinds


@contextmanager
def s3_server(folder: Path) -> Iterator[S3]:
    """Runs while the block does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "requests.log"
    with log.open("wb") as sink:
        command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        server = subprocess.Popen(command, stdout=sink, stderr=sink, env=os.environ | KEYS)
        try:
            made = S3(f"http://127.0.0.1:{port}", log)
            request = urllib.request.Request(f"{made.endpoint}/{BUCKET}", method="PUT")
            for _ in range(600):
                try:
                    urllib.request.urlopen(request, timeout=10).close()
                    break
                except (urllib.error.URLError, ConnectionError):
                    assert server.poll() is None, log.read_text()
                    time.sleep(0.1)
            yield made
        finally:
            server.kill()
            server.wait()

"""One writer a run on an object store."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from gog.pipelines.lake import lease
from gog.pipelines.lake.lake import Lake, LakeError
from gog.pipelines.lake.lease import is_leased
from gog.transforms.object_path import ObjectPath

HOLD = """
import sys, time
from gog.pipelines.lake.lake import Lake
with Lake(sys.argv[1]).lock("run"):
    print("held", flush=True)
    time.sleep(600)
"""


def lock_of(remote: str) -> ObjectPath:
    return ObjectPath(f"{remote}/runs/run/lock")


def test_a_second_writer_is_refused_and_the_first_gives_back(remote: str) -> None:
    lake = Lake(remote)
    with lake.lock("run"):
        assert is_leased(lock_of(remote))
        with (
            pytest.raises(LakeError, match=rf"being written by another process \(process {os.getpid()} on "),
            lake.lock("run"),
        ):
            pass
        with lake.lock("other"):
            pass
    assert not is_leased(lock_of(remote))
    with lake.lock("run"):
        pass


def test_a_killed_process_of_this_machine_holds_nothing(remote: str) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, remote], stdout=subprocess.PIPE, text=True, env=os.environ)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(LakeError, match=f"process {holder.pid}"), Lake(remote).lock("run"):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    assert not is_leased(lock_of(remote))
    with Lake(remote).lock("run"):
        pass


def elsewhere(remote: str) -> None:
    holder = {"pid": 1, "host": "elsewhere", "machine": "another", "token": "0"}
    lock_of(remote).write(json.dumps(holder).encode())


def test_a_silent_process_of_another_machine_is_gone_after_a_while(
    remote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(remote)
    elsewhere(remote)
    with pytest.raises(LakeError, match=r"process 1 on elsewhere, heard of \d s ago"), lake.lock("run"):
        pass
    monkeypatch.setattr(lease, "GONE_S", 0.5)
    time.sleep(1.6)  # the store's clock has seconds
    with lake.lock("run"):
        pass


def test_it_is_renewed(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.05)
    with Lake(remote).lock("run"):
        first = lock_of(remote).read_bytes()
        until = time.monotonic() + 20
        while lock_of(remote).read_bytes() == first and time.monotonic() < until:
            time.sleep(0.05)
        assert lock_of(remote).read_bytes() != first
    assert not is_leased(lock_of(remote))


def test_who_has_lost_it_stops(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.05)
    with pytest.raises(LakeError, match="process 1 on elsewhere") as said, Lake(remote).lock("run"):  # noqa: PT012
        elsewhere(remote)
        time.sleep(30)
    assert "has taken over the run 'run'" in str(said.value)
    assert is_leased(lock_of(remote))

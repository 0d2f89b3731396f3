"""Errors: one line, the exit code, no traceback but for bugs."""

import errno
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from calling import Gog, Place, contents, place

from gog.pipelines.cli.errors import error_line
from gog.pipelines.lake.lake import Lake, LakeError
from gog.pipelines.steps import run as engine
from gog.schemas.errors import UsageError, UserError
from gog.transforms.services.store.schema import StoreError

CONFIGS = {
    "runn: x": "runn: unknown key; did you mean run?",
    "source: {kind: atlas, cout: 3}": "source.cout: unknown key; did you mean count?",
    "{source: {kind: atlas}, decontaminate: {against: [{benchmark: fvqa, pth: x}]}}": "did you mean path?",
    "nothing_like_it: x": "nothing_like_it: unknown key",
    "shard_size: none": "shard_size",
    "screen: {passes: 0}": "screen.passes",
    "source: {kind: jsonl, path: x.jsonl, mapping: {}}": "source.dataset: this key is needed",
    "run: a/b": "letters, digits",
    "run: [": "not valid YAML, line 1",
    "- a": "expected keys and values",
    "teacher: 'gpt:'": "is no address of a model",
    "detector: 'yolo:'": "is no address of a detector",
    "text_search: 'corpus:nowhere'": "gog index build",
    "source: {kind: jsonl, path: nowhere.jsonl, dataset: d, mapping: {question: q, answers: [a], image: i}}": "no such",
}


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize("text", CONFIGS)
def test_wrong_configs(gog: Gog, tmp_path: Path, command: str, text: str) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    done = gog(command, "--config", file, "--lake", tmp_path / "lake")
    assert done.code == 2
    assert CONFIGS[text] in done.error


def test_no_config_file(gog: Gog, tmp_path: Path) -> None:
    done = gog("run", "--config", tmp_path / "none.yaml")
    assert done.code == 2
    assert "gog init" in done.error


@pytest.mark.parametrize("command", ["status", "inspect", "retry"])
def test_no_lake_and_no_run(gog: Gog, tmp_path: Path, finished: Place, command: str) -> None:
    more = ["--reason", "teacher.timeout"] if command == "retry" else []
    assert "there is no lake" in gog(command, "--lake", tmp_path / "none", *more).error
    done = gog(command, "--lake", finished.lake, "--run", "other", *more)
    assert done.code == 2
    assert "it has tiny" in done.error
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("command", ["serve-planner", "view"])
def test_a_port_that_is_taken(gog: Gog, finished: Place, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        lake = ["--lake", finished.lake] if command == "view" else []
        done = gog(command, "--port", port, *lake)
    assert done.code == 1
    assert done.error == (
        f"gog: cannot listen on port {port} of 127.0.0.1: something else listens there; "
        "name another with --port, or 0 for a free one"
    )


def test_an_address_of_another_machine(gog: Gog) -> None:
    done = gog("serve-planner", "--host", "192.0.2.1", "--port", "0")
    assert done.code == 1
    assert "cannot listen on port 0 of 192.0.2.1" in done.error
    assert "name an address of this machine" in done.error


def test_a_teacher_that_is_down_ends_a_run_with_exit_code_1_and_says_how_to_ask_again(gog: Gog, warm: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    config = warm.config.read_text()
    address = f"http://127.0.0.1:{port}/v1#m"
    data = yaml.safe_load(config) | {"teacher": address, "retry": {"attempts": 1}}
    warm.config.write_text(yaml.safe_dump(data))
    done = gog("run", "-c", warm.config)
    assert done.code == 1
    assert " left because something outside failed; once it works: gog retry " in done.out
    why = f'`gog inspect --lake {warm.lake} --sql "from reasons"` says why'
    # Whether the breaker has stopped the last of them is a matter of which failed first.
    stopped = done.error.startswith("gog: set-up: m has answered none of the first 5 questions: ")
    assert stopped or (done.error.startswith("gog: nothing was kept: ") and done.error.endswith(why))


def test_a_run_that_another_process_writes(gog: Gog, copied: Place) -> None:
    with Lake(copied.lake).lock("tiny"):
        done = gog("run", "-c", copied.config)
    assert done.code == 1
    assert "is being written by another process" in done.error


def test_a_run_of_another_config(gog: Gog, copied: Place) -> None:
    copied.config.write_text(copied.config.read_text().replace("count: 8", "count: 9"))
    for command in ("run", "plan"):
        done = gog(command, "-c", copied.config)
        assert done.code == 1
        assert "was made with another config or source; give this one another name with --run" in done.error


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (StoreError("the store is\ndamaged"), 1, "gog: the store is damaged"),
        (LakeError("the disk is full"), 1, "gog: the disk is full"),
        (OSError(errno.ENOSPC, "No space left", "/somewhere"), 1, "/somewhere: the disk is full"),
        (KeyboardInterrupt(), 130, "the same command goes on"),
        (RuntimeError("Query interrupted"), 130, "the same command goes on"),  # as DuckDB tells Ctrl-C
    ],
)
def test_what_goes_wrong_inside(
    gog: Gog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(engine, "run", fail)
    done = gog("run", "-c", place(tmp_path).config)
    assert done.code == code
    assert said in done.error


def test_ctrl_c_that_beam_has_wrapped(gog: Gog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise RuntimeError("KeyboardInterrupt [while running 'Screen']") from error

    monkeypatch.setattr(engine, "run", fail)
    assert gog("run", "-c", place(tmp_path).config).code == 130


def test_a_bug_shows_where_it_is(gog: Gog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of a bug")

    monkeypatch.setattr(engine, "run", fail)
    done = gog("run", "-c", place(tmp_path).config)
    assert done.code == 1
    assert "Traceback" in done.err
    assert "this is a bug" in done.err
    assert "run.py" in done.err


def child(*args: object) -> "subprocess.Popen[str]":
    """The command line in a process of its own."""
    command = [sys.executable, "-m", "gog.pipelines.cli.main", *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, seconds: float = 60) -> None:
    """Until the file is there."""
    until = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < until, f"{path} did not come"
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_ends_a_run_ends_it_with_130_and_the_same_command_goes_on(
    gog: Gog, warm: Place, finished: Place, number: signal.Signals
) -> None:
    process = child("run", "-c", warm.config)
    wait_for(warm.run / "seeds" / "part-ingest-00000.parquet")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    lines = [line for line in err.splitlines() if " | " not in line]
    assert (process.returncode, out) == (130, ""), err
    assert lines == ["gog: stopped; what was finished is kept, the same command goes on"]
    assert gog("run", "-c", warm.config).code == 0
    assert contents(warm.run) == contents(finished.run)


_DROPPED = """
import signal, time, types, weakref
from gog.pipelines.cli import main

class Thing:
    pass

def drop(_):
    signal.raise_signal(signal.SIGINT)

def work(**_):
    thing = Thing()
    reference = weakref.ref(thing, drop)
    del thing
    time.sleep(60)

main.get_command = lambda _: types.SimpleNamespace(main=work)
main.main()
"""


def test_a_ctrl_c_that_python_drops_stops_all_the_same() -> None:
    done = subprocess.run([sys.executable, "-c", _DROPPED], capture_output=True, text=True, timeout=50)
    assert done.returncode == 130
    assert done.stderr == "gog: stopped; what was finished is kept, the same command goes on\n"


def test_a_reader_that_has_seen_enough(finished: Place) -> None:
    with child("inspect", "--lake", finished.lake, "--json", "--sql", "select * from range(200000)") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) in {0, 1}


def test_the_end_of_a_process_is_quiet(finished: Place) -> None:
    process = child("status", "--lake", finished.lake)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert out.startswith("Run tiny: done")


@pytest.mark.parametrize(("base", "code"), [(UserError, 1), (UsageError, 2)])
def test_a_plug_ins_error_says_how_the_command_ends(base: type[UserError], code: int) -> None:
    class NoQuotaError(base):  # type: ignore[misc, valid-type]
        """Of somebody else."""

    assert error_line(NoQuotaError("no quota:\nask for more")) == ("no quota: ask for more", code)
    assert error_line(RuntimeError("a bug")) is None


def test_all_that_is_wrong_with_a_config_is_told_at_once(gog: Gog, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("sead: 1\nteacher: 3\nstore: {mode: recrod}\nsource: {kind: jsnl, path: x}\n")
    done = gog("plan", "-c", tmp_path / "bad.yaml")
    assert (done.code, done.out) == (2, "")
    first, *more = done.err.splitlines()
    assert first == f"gog: {tmp_path / 'bad.yaml'}: 4 keys are wrong"
    for said in ("sead: unknown key; did you mean seed?", "store.mode: ", "teacher: ", "did you mean jsonl?"):
        assert sum(said in line for line in more) == 1
    assert len(more) == 4

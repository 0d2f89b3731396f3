"""A corpus is counted by several processes as by one, and a build that was killed goes on; the bytes are the same."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gog.transforms import cores
from gog.transforms.services.search import counted_blocks, passage_blocks
from gog.transforms.services.search.corpus import build_corpus
from gog.transforms.services.search.index_folder import IndexUnwrittenError
from gog.transforms.services.search.passage_blocks import Block, Counted, Page

KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_counted_blocks
test_counted_blocks.small_blocks()
test_counted_blocks.build_corpus(test_counted_blocks.slowly(), Path(sys.argv[2]), name="drawn")
"""


def drawn(count: int = 400) -> Iterator[Page]:
    rng = random.Random(3)
    for number in range(count):
        words = [f"w{int(rng.paretovariate(0.7))}" for _ in range(rng.randrange(200))]
        text = "\n\n".join(" ".join(words[at : at + 40]) for at in range(0, len(words), 40))
        yield (
            "" if number % 97 == 5 else f"https://a/{number}",
            f"Page {number}",
            f"{text} ไทย" if number == 333 else text,
        )


def slowly() -> Iterator[Page]:
    for page in drawn():
        time.sleep(0.01)
        yield page


def small_blocks() -> None:
    passage_blocks.PAGES = 7  # type: ignore[misc]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passage_blocks, "PAGES", 7)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """First pages of the blocks that are counted."""
    firsts: list[int] = []
    count = passage_blocks.count

    def noted(block: Block, encoded: bool) -> Counted:
        firsts.append(block.first)
        return count(block, encoded)

    monkeypatch.setattr(counted_blocks, "counter", lambda: noted)
    return firsts


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def ended(folder: Path, after: int) -> None:
    """A build that fails on the way."""

    def pages() -> Iterator[Page]:
        for number, page in enumerate(drawn()):
            if number == after:
                raise KeyError
            yield page

    with pytest.raises(KeyError):
        build_corpus(pages(), folder, name="drawn")


def test_blocks_of_any_size_make_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = build_corpus(drawn(), tmp_path / "one", name="drawn")
    monkeypatch.setattr(passage_blocks, "PAGES", 10_000)
    assert build_corpus(drawn(), tmp_path / "other", name="drawn") == report
    assert contents(tmp_path / "one") == contents(tmp_path / "other")
    monkeypatch.setattr(passage_blocks, "CHARACTERS", 1000)
    build_corpus(drawn(), tmp_path / "third", name="drawn")
    assert contents(tmp_path / "one") == contents(tmp_path / "third")
    assert {path.name for path in tmp_path.iterdir()} == {"one", "other", "third"}


def test_several_processes_make_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_corpus(drawn(), tmp_path / "one", name="drawn")
    monkeypatch.setattr(cores, "WORTH_S", 0.0)
    monkeypatch.setattr(cores, "_count", lambda: 2)
    cores.use_all_cores()
    try:
        counting = cores.Spread(passage_blocks.counter)
        counting(Block(0, []), False)  # they come up
        deadline = time.monotonic() + 60
        while not (cores._pool and cores._pool._alive) and time.monotonic() < deadline:
            counting(Block(0, []), False)
        build_corpus(drawn(), tmp_path / "two", name="drawn")
    finally:
        cores.close()
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_build_that_was_ended_goes_on(tmp_path: Path, counted: list[int]) -> None:
    build_corpus(drawn(), tmp_path / "whole", name="drawn")
    ended(tmp_path / "index", 200)
    counted.clear()
    build_corpus(drawn(), tmp_path / "index", name="drawn")
    assert 140 < counted[0] <= 196  # what was being counted when it ended is counted again
    assert contents(tmp_path / "index") == contents(tmp_path / "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"index", "whole"}


@pytest.mark.slow
def test_a_build_that_was_killed_goes_on(tmp_path: Path, counted: list[int]) -> None:
    build_corpus(drawn(), tmp_path / "whole", name="drawn")
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(tmp_path / "index")]
    for blocks in (10, 30):
        process = subprocess.Popen(command)
        journal, deadline = tmp_path / ".index.begun" / "journal.jsonl", time.monotonic() + 60
        while time.monotonic() < deadline and not (journal.exists() and journal.read_bytes().count(b"\n") > blocks):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    counted.clear()
    build_corpus(drawn(), tmp_path / "index", name="drawn")
    assert counted[0] >= 29 * 7
    assert contents(tmp_path / "index") == contents(tmp_path / "whole")


@pytest.mark.parametrize(
    "name", ["passages.jsonl", "sizes.bin", "counts.bin", "words.txt", "lengths.bin", "journal.jsonl"]
)
@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "longer"])
def test_damage_is_done_again(tmp_path: Path, counted: list[int], name: str, damage: str) -> None:
    build_corpus(drawn(), tmp_path / "whole", name="drawn")
    ended(tmp_path / "index", 200)
    file = tmp_path / ".index.begun" / name
    data = file.read_bytes()
    middle = len(data) // 2
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(
            {"cut": data[:middle], "longer": data + b"x", "changed": data[:middle] + b"\n\0" + data[middle + 2 :]}[
                damage
            ]
        )
    counted.clear()
    build_corpus(drawn(), tmp_path / "index", name="drawn")
    assert (counted[0] == 0) is (damage == "gone")
    assert contents(tmp_path / "index") == contents(tmp_path / "whole")


def test_what_is_read_differently_is_done_again_from_there(tmp_path: Path, counted: list[int]) -> None:
    ended(tmp_path / "index", 200)
    changed = [
        (url, title, "Other words." if number == 70 else text) for number, (url, title, text) in enumerate(drawn())
    ]
    counted.clear()
    build_corpus(changed, tmp_path / "index", name="drawn")
    assert counted[0] == 70
    build_corpus(changed, tmp_path / "whole", name="drawn")
    assert contents(tmp_path / "index") == contents(tmp_path / "whole")


def test_fewer_pages_than_were_read_before_leave_no_more(tmp_path: Path) -> None:
    ended(tmp_path / "index", 200)
    build_corpus(drawn(30), tmp_path / "index", name="drawn")
    build_corpus(drawn(30), tmp_path / "whole", name="drawn")
    assert contents(tmp_path / "index") == contents(tmp_path / "whole")


def test_one_process_builds_at_a_time(tmp_path: Path) -> None:
    def pages() -> Iterator[Page]:
        with pytest.raises(IndexUnwrittenError, match="another process writes the index"):
            build_corpus(drawn(10), tmp_path / "index", name="drawn")
        yield from drawn(10)

    assert build_corpus(pages(), tmp_path / "index", name="drawn").pages == 9

"""A worker's reason to end the training: the first one counts, and is read whole."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gog_train.verl.stop import FILE, ask_to_stop, reason_to_stop


def test_the_first_reason_counts(tmp_path: Path) -> None:
    environment = {"GOG_CALLS": str(tmp_path / "calls")}
    assert reason_to_stop(tmp_path / "calls") is None
    ask_to_stop("the judge is down", environment)
    ask_to_stop("another", environment)
    assert reason_to_stop(tmp_path / "calls") == "the judge is down"
    assert [path.name for path in (tmp_path / "calls").iterdir()] == [FILE]


def test_of_many_at_once_one_counts(tmp_path: Path) -> None:
    """From threads of one process, as verl's reward workers run them."""
    reasons = [f"{number} " * 5000 for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda why: ask_to_stop(why, {"GOG_CALLS": str(tmp_path)}), reasons))
    assert reason_to_stop(tmp_path) in reasons
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_outside_of_a_training_nothing_is_written(tmp_path: Path) -> None:
    ask_to_stop("nobody asked", {})
    assert not list(tmp_path.iterdir())

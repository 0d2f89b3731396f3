"""Mutation testing: change the code in one place, and see whether a test notices.

    python .dev/mutants.py schemas/boxes.py transforms/verify --sample 100

A mutant runs in a copy of the tree, in a forked process, by the tests that reach its line: of the mirrored test files,
and of those in the same part that import its module. mutmut looks for tests of `schemas.boxes` where they import
`gog.schemas.boxes`, and passes over class bodies; cosmic-ray runs all tests anew for each of some thousand mutants.

Survivors that change nothing stand in `.dev/equivalent_mutants.txt` with the reason, and are left out.
"""

import argparse
import importlib
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from mutations import Mutant, mutants_of, mutated

HERE = Path(__file__).resolve().parent.parent

PRELOADED = ("pytest", "hypothesis", "numpy", "PIL.Image", "pydantic", "aiohttp", "jsonschema", "scipy.fft", "pyarrow")
"""Loaded once, before the forks. Nothing that reads the environment that conftest.py sets."""
ENOUGH = 0.95
LONGEST_S = 10
"""Tests that take longer are left out."""
ALSO = {
    "transforms/services/store/": ("tests/pipelines/cli/test_store.py", "tests/pipelines/cli/test_forget.py"),
    "transforms/export/": ("tests/pipelines/export/test_formats.py", "tests/pipelines/cli/test_review.py"),
}
"""Tests at the level of commands and folders, for what the mirrored ones leave to them."""
FORK = multiprocessing.get_context("fork")


class Tests:
    """A plugin of pytest: given tests alone, in their order, or all, and which lines of some files each reaches.

    Hypothesis gives the same examples each time, and does not shrink those that fail.
    """

    def __init__(self, order: list[str] | None, files: dict[str, str]) -> None:
        self.order, self.files, self.failed = order, files, set[str]()
        self.lines: dict[str, list[tuple[str, int]]] = {}
        self.seconds: dict[str, float] = {}
        self._seen, self._began = set[tuple[str, int]](), 0.0

    def pytest_collection(self) -> None:
        from hypothesis import Phase, settings

        same = {"deadline": None, "derandomize": True, "database": None, "phases": (Phase.explicit, Phase.generate)}
        settings.register_profile("mutants", max_examples=50, **same)
        settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        if self.order is not None:
            place = {test: at for at, test in enumerate(self.order)}
            items[:] = sorted((item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid])

    def _call(self, frame: Any, *_: Any) -> Any:
        path = self.files.get(os.path.realpath(frame.f_code.co_filename)) if "gog" in frame.f_code.co_filename else None
        if path is None:
            return None

        def inside(frame: Any, *_: Any) -> Any:
            self._seen.add((path, frame.f_lineno))
            return inside

        return inside(frame)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._seen, self._began = set(), time.monotonic()
        if self.files:
            threading.settrace(self._call)
            sys.settrace(self._call)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed or report.skipped:
            self.failed.add(report.nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        sys.settrace(None)
        self.lines[nodeid], self.seconds[nodeid] = sorted(self._seen), time.monotonic() - self._began


def in_copy(copy: Path, tests: list[str], plugin: Tests, *options: str) -> None:
    """Run pytest in the copy, on its code and in silence, and end this process with its exit code."""
    import pytest

    os.setsid()
    out = os.open(copy.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.chdir(copy)
    os.environ["PYTHONPATH"] = str(copy / ".dev")  # for what tests start
    sys.path.insert(0, str(copy / ".dev"))
    quiet = ("-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
    code = pytest.main([*quiet, *options, *tests], plugins=[plugin])
    copy.with_suffix(".json").write_text(json.dumps([sorted(plugin.failed), plugin.lines, plugin.seconds]))
    os._exit(int(code))


def tests_for(paths: list[str]) -> list[str]:
    """The mirrored test files, then those in the same part that import one of the modules."""
    stems = [path.removesuffix(".py") for path in paths]
    modules = [(stem if stem.startswith("gog_train") else f"gog.{stem}").replace("/", ".") for stem in stems]
    near, using = [], []
    for file in sorted((HERE / "tests").rglob("test_*.py")):
        name, text = str(file.relative_to(HERE)), file.read_text("utf-8")
        if any(name == f"tests/{Path(stem).parent}/test_{Path(stem).name}.py" for stem in stems):
            near.append(name)
        elif name.split("/")[1] in {stem.partition("/")[0] for stem in stems}:
            using += [name] * any(f"from {module} import" in text for module in modules)
    also = (test for part, tests in ALSO.items() if any(path.startswith(part) for path in paths) for test in tests)
    return [*near, *using, *also]


def copied(folder: Path) -> Path:
    """A copy of the tree's files, links as links."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.check_output(listing, cwd=HERE, text=True).rstrip("\0").split("\0"):
        if (HERE / name).is_symlink() or (HERE / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(HERE / name, folder / name, follow_symlinks=False)
    return folder


def reached(copy: Path, paths: list[str]) -> dict[str, tuple[float, set[tuple[str, int]]]]:
    """Of each good test its time and the lines that it reaches. The copy's bytecode is left for the mutants' runs."""
    plugin = Tests(None, {str((copy / path).resolve()): path for path in paths})
    marks = "not slow and not gpu and not network and not detect"
    quick = (f"--timeout={LONGEST_S}", "-o", "timeout_func_only=true")
    child = FORK.Process(target=in_copy, args=(copy, tests_for(paths), plugin, "-m", marks, *quick))
    child.start()
    child.join()
    failed, lines, seconds = json.loads(copy.with_suffix(".json").read_text())
    good = [test for test in lines if test not in failed]
    return {test: (seconds[test], {(path, line) for path, line in lines[test]}) for test in good}


def fate(copy: Path, mutant: Mutant, reach: dict[str, tuple[float, set[tuple[str, int]]]]) -> str:
    """`killed`, `timeout`, `survived`, or `unreached` where no test comes to its file."""
    exact = [test for test, (_, seen) in reach.items() if (mutant.path, mutant.line) in seen]
    # A line behind a cache is reached by the first test alone, and one that is read on import by none.
    mirror = f"tests/{Path(mutant.path).parent}/test_{Path(mutant.path).name}::"
    near = [test for test in reach if test.startswith(mirror) and test not in exact]
    near += [] if exact else [test for test, (_, seen) in reach.items() if any(path == mutant.path for path, _ in seen)]
    tests = [*sorted(exact, key=lambda test: reach[test][0]), *sorted(set(near), key=lambda test: reach[test][0])]
    if not tests:
        return "unreached"
    place = copy / mutant.path
    text, stat = place.read_text("utf-8"), place.stat()
    place.write_text(mutated(mutant, text), "utf-8")
    files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
    child = FORK.Process(target=in_copy, args=(copy, files, Tests(tests, {}), "-x", "-m", ""))
    child.start()
    child.join(20 + 4 * sum(reach[test][0] for test in tests))
    try:
        if child.exitcode is not None:
            return "killed" if child.exitcode else "survived"
        os.killpg(child.pid or 0, signal.SIGKILL)
        child.join()
        return "timeout"
    finally:
        place.write_text(text, "utf-8")
        os.utime(place, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # its bytecode is good again


def worker(copy: Path, mutants: list[Mutant], reach: Any, results: Any) -> None:
    """The fate of each mutant."""
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    for mutant in mutants:
        results.put((mutant, fate(copy, mutant, reach)))


def tested(target: str, options: argparse.Namespace) -> bool:
    """Draw, run and tell the mutants of a file or folder; whether enough of them are killed."""
    rows = (line.split(" | ") for line in (HERE / ".dev/equivalent_mutants.txt").read_text("utf-8").splitlines())
    same = {tuple(row[:3]) for row in rows if len(row) == 4}
    found = sorted((HERE / target).rglob("*.py")) if (HERE / target).is_dir() else [HERE / target]
    paths = [str(path.relative_to(HERE)) for path in found]
    began, fates, results = time.monotonic(), Counter[str](), FORK.Queue()
    with tempfile.TemporaryDirectory(prefix="gog-mutants-", ignore_cleanup_errors=True) as folder:
        first = copied(Path(folder) / "0")
        everything = [one for path in paths for one in mutants_of(path, (first / path).read_text("utf-8"))]
        drawn = random.Random(f"{options.seed}/{target}").sample(everything, min(options.sample, len(everything)))
        drawn = [one for one in drawn if re.search(options.only, str(one))]
        known = [one for one in drawn if (one.path, one.source, one.what) in same]
        drawn = [one for one in drawn if one not in known]
        reach = reached(first, paths)
        for number in range(options.workers):
            copy = first if not number else shutil.copytree(first, Path(folder) / str(number), symlinks=True)
            FORK.Process(target=worker, args=(copy, drawn[number :: options.workers], reach, results)).start()
        for _ in drawn:
            mutant, came = results.get()
            fates[came] += 1
            if came in ("survived", "unreached"):
                print(f"{came}: {mutant}", flush=True)
    killed = fates["killed"] + fates["timeout"]
    told = f"{target}: {killed} of {len(drawn)} killed, and {len(known)} known, of {len(everything)}"
    print(f"{told}; {dict(fates)} by {len(reach)} tests in {time.monotonic() - began:.0f} s", flush=True)
    return killed >= ENOUGH * len(drawn)


def main() -> int:
    """0 where enough are killed of each target, 1 where not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="+", help="files or folders of the code")
    parser.add_argument("--sample", type=int, default=100, help="mutants a target at most (100)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (0)")
    parser.add_argument("--workers", type=int, default=2, help="mutants at a time (2)")
    parser.add_argument("--only", default="", help="a regular expression for the mutants, as they are printed")
    options = parser.parse_args()
    for name in PRELOADED:
        importlib.import_module(name)
    return int(not all([tested(target, options) for target in options.targets]))


if __name__ == "__main__":
    sys.exit(main())

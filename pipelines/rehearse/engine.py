"""What is known of an engine before a job goes to it: its options, its job service, whose version is the SDK's."""

import re
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final
from zipfile import BadZipFile, ZipFile

from gog.pipelines.rehearse.checks import Check
from gog.pipelines.steps.job_service import check_options, reach
from gog.pipelines.steps.runner import (
    JARS,
    RunnerError,
    RunnerOptionError,
    check_runner,
    known_options,
    runner_name,
)

_SAYS: Final = "org/apache/beam/sdk/sdk.properties"
_VERSION: Final = re.compile(r"^version=(\S+)$", re.MULTILINE)
_NAMED: Final = re.compile(r"-(\d+\.\d+\.\d+)[^/]*\.jar$")


def engine_checks(args: Sequence[str]) -> Iterator[Check]:
    """Checks of the engine that options for Beam name; starts nothing."""
    try:
        check_runner(args)
    except RunnerOptionError as error:
        yield Check("runner", "problem", str(error), "see the page of the engine in the documentation")
        return
    known, unknown = known_options(args)
    name, endpoint = runner_name(known.runner), known.job_endpoint
    yield Check("runner", "ok", f"{known.runner}: Beam knows its options")
    if endpoint and endpoint != "embed":
        try:
            check_options(known.runner, described := reach(known.runner, endpoint), unknown)
        except (RunnerError, RunnerOptionError) as error:
            yield Check("job service", "problem", str(error))
        else:
            found = f"{endpoint} answers and has {len(described)} options; it does not tell its version"
            yield Check("job service", "ok", found)
    if jar := getattr(known, JARS.get(name, ""), None):
        yield jar_check(jar, version("apache-beam"))


def jar_check(jar: str, sdk: str) -> Check:
    """Whether a job server's jar is of the SDK's version."""
    found = _version_of(jar)
    if found is None:
        return Check("job server", "warning", f"{jar} does not tell its version", f"use the one of Beam {sdk}")
    ours, its = _numbers(sdk), _numbers(found)
    if ours == its:
        return Check("job server", "ok", f"{jar} has version {found}, as Beam here")
    than = "older" if its < ours else "newer"
    advice = f"Beam answers for equal versions alone: use {_renamed(jar, sdk)}, or try it with a small limit first"
    return Check("job server", "warning", f"{jar} has version {found}, {than} than Beam {sdk} here", advice)


def _version_of(jar: str) -> str | None:
    try:
        with ZipFile(jar) as opened:
            said = _VERSION.search(opened.read(_SAYS).decode("utf-8", "replace"))
    except (OSError, BadZipFile, KeyError):
        said = None
    said = said or _NAMED.search(jar)
    return said[1] if said else None


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)[:3]))


def _renamed(jar: str, sdk: str) -> str:
    """The jar of the SDK's version, where the name follows Beam's."""
    name = Path(jar).name
    return _NAMED.sub(f"-{sdk}.jar", name) if _NAMED.search(name) else f"the one of Beam {sdk}"

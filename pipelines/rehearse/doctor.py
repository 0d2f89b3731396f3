"""What works and what does not: versions, lake, store, source, GPU, extras, and each service by one small call."""

import importlib.util
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from gog.pipelines.config.config import Config, ConfigError
from gog.pipelines.connect.stores import read_store, store_path
from gog.pipelines.lake.disk import LITTLE_ROOM
from gog.pipelines.lake.lake import Lake, LakeError, is_lake
from gog.pipelines.lake.one_line import one_line
from gog.pipelines.rehearse.checks import Check, State
from gog.pipelines.rehearse.service_checks import services
from gog.pipelines.rehearse.understood import advice_on_pictures, told, understood
from gog.schemas import SCHEMA_VERSION
from gog.transforms.extras import install
from gog.transforms.object_path import ABSENT, AddressError, ObjectPath
from gog.transforms.open_set import plugins
from gog.transforms.place import place as lake_place
from gog.transforms.services.store.schema import StoreError
from gog.transforms.sources.formats import SourceError
from gog.transforms.sources.mapping import MappingError

NO_ROOM: Final = 200 * 1 << 20
"""Bytes free on the lake's disk that are a problem, where `LITTLE_ROOM` is a warning."""
PACKAGES: Final = ("apache-beam", "pyarrow", "duckdb", "pydantic", "pillow", "numpy")
EXTRAS: Final = {
    "detect": ("ultralytics", "YOLO detectors"),
    "onnx": ("onnxruntime", "detectors in ONNX files"),
    "search": ("tokenizers", "encoders of texts and pictures in ONNX files"),
    "vectors": ("faiss", "local indexes of more than 100,000 vectors"),
    "mcp": ("mcp", "tools of MCP servers, and `gog serve-tools`"),
    "web": ("trafilatura", "reading pages (in pipelines)"),
    "pdf": ("pdftext", "pages that are PDF"),
    "train": ("trl", "training with gog_train"),
    "dev": ("pytest", "tests and checks"),
}


def doctor(config: Config) -> list[Check]:
    """All checks, in the order in which they matter."""
    return [
        _versions(),
        *_lake(config),
        _store(config),
        *_source(config),
        *services(config),
        _gpu(),
        *_extras(),
        *_plugins(),
        _data(),
    ]


def _versions() -> Check:
    versions = [f"gog {version('glance-or-gaze')}", f"Python {platform.python_version()}"]
    versions += [f"{name} {version(name)}" for name in PACKAGES]
    return Check("versions", "ok", ", ".join(versions))


def _lake(config: Config) -> Iterator[Check]:
    root = config.lake
    try:
        runs = Lake(root, create=False).runs() if is_lake(root) else None
    except (LakeError, AddressError) as error:
        yield Check("lake", "problem", str(error))
        return
    if runs is not None:
        yield Check("lake", "ok", f"{root}: schema version {SCHEMA_VERSION}, {len(runs)} runs")
    else:
        yield Check("lake", "ok", f"{root}: not there yet, the first run makes it")
    if isinstance(remote := lake_place(root), ObjectPath):
        yield _writable(remote)
        return
    folder = Path(root).resolve()
    place = next(folder for folder in (folder, *folder.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        yield Check("write access", "problem", f"{place}: {error.strerror}", "change its rights, or use another --lake")
        return
    free = shutil.disk_usage(place).free
    state: State = "ok" if free >= LITTLE_ROOM else "warning" if free >= NO_ROOM else "problem"
    advice = "" if state == "ok" else "make room: a thousand seeds with their crops take about 1 GB"
    yield Check("disk", state, f"{free / 1e9:,.1f} GB free, and {place} may be written", advice)


def _writable(root: ObjectPath) -> Check:
    """Whether objects can be written, and only where none is: what a run's lock rests on."""
    probe = root / f".doctor-{os.getpid()}"
    try:
        probe.write(b"", ABSENT)
        with suppress(FileExistsError):
            probe.write(b"", ABSENT)
            return Check("write access", "problem", f"{root}: the store takes no conditional writes", "use another one")
        probe.unlink()
    except OSError as error:
        return Check("write access", "problem", str(error), "check its rights, the keys and the region")
    return Check("write access", "ok", f"{root} may be written")


def _store(config: Config) -> Check:
    mode = config.store.mode
    try:
        store = read_store(config)
        if store is None:
            if mode == "replay":
                advice = "set store.mode to record for the first run"
                return Check("store", "problem", f"mode replay, and there is nothing at {store_path(config)}", advice)
            return Check("store", "ok", f"mode {mode}, empty")
        with closing(store):
            answers, size = store.count(), store.size()
    except (StoreError, ConfigError) as error:
        return Check("store", "problem", str(error))
    except OSError as error:
        return Check("store", "problem", f"{store_path(config)}: {error}", "check the address and its rights")
    summary = f"mode {mode}, {answers:,} answers, {size / 1e6:,.1f} MB"
    if mode == "live":
        return Check("store", "warning", summary, "mode live pays for every question again: record is the usual one")
    return Check("store", "ok", summary)


def _source(config: Config) -> Iterator[Check]:
    """The source, its pictures, and three seeds as they are understood."""
    try:
        found = understood(config, 3)
    except (SourceError, MappingError) as error:
        yield Check("source", "problem", str(error), "see source in the config")
        return
    if not found.opened:
        yield Check("source", "problem", "it has no rows", "see source.path in the config")
        return
    where = getattr(config.source, "path", "") or getattr(config.source, "name", "") or "the bundled world"
    bad = [reject for reject in found.rejects if not reject.reason.startswith("ingest.image_")]
    state: State = "ok" if not bad and not found.lists else "warning" if len(bad) < found.opened else "problem"
    left = f": {len(bad)} of the first {found.opened} rows leave: {bad[0].detail}" if bad else " can be read"
    yield Check("source", state, f"{where}{left}", "; ".join(told(found)))
    images = [reject for reject in found.rejects if reject.reason.startswith("ingest.image_")]
    if images:
        state = "problem" if len(images) == found.opened - len(bad) else "warning"
        why = f"{len(images)} of the first {found.opened} cannot be used: {images[0].detail}"
        yield Check("pictures", state, why, advice_on_pictures(found, config))
    elif found.seeds:
        yield Check("pictures", "ok", f"{found.opened - len(bad)} were opened")
    for number, shown in enumerate(found.seeds, start=1):
        seed = shown.seed
        pictures = " and ".join(map(str, shown.pictures))
        asked = f"{seed.question[:200]!r} with the picture {pictures}"
        answers = ", ".join(repr(answer) for answer in seed.answers[:5])
        yield Check(f"seed {number}", "ok", f"{asked}: {answers} ({seed.answer_type})")


def _gpu() -> Check:
    needed = "not needed for data; gog_train and a model served on this machine need one"
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return Check("GPU", "ok", f"none: {needed}")
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)  # noqa: S603  # our words
        return Check("GPU", "ok", "; ".join(done.stdout.split("\n")).strip("; "))
    return Check("GPU", "warning", "nvidia-smi is there and does not answer", f"see the driver ({needed})")


def _extras() -> Iterator[Check]:
    for name, (package, use) in EXTRAS.items():
        try:
            installed = f"{package} {version(package)}" if importlib.util.find_spec(package) else ""
        except PackageNotFoundError:
            installed = ""
        missing = f"not installed; for {use}: {install(name)}"
        yield Check(f"extra {name}", "ok", installed or missing)


def _plugins() -> Iterator[Check]:
    """What other distributions add to our sets, each loaded once."""
    for origin, points in plugins().items():
        loaded = []
        for point in points:
            try:
                point.load()
                loaded.append(f"{point.group.removeprefix('gog.')} {point.name}")
            except Exception as error:  # whatever a module of somebody else raises
                why = one_line(f"{point.group} {point.name}: {type(error).__name__}: {error}", 300)
                yield Check("plug-ins", "problem", f"{origin}: {why}", f"repair or uninstall {origin.distribution}")
        if loaded:
            yield Check("plug-ins", "ok", f"{origin}: {', '.join(loaded)}")


def _data() -> Check:
    folder = os.environ.get("GOG_REAL_DATA", "")
    if not folder:
        return Check("GOG_REAL_DATA", "ok", "not set; tests against real rows are left out")
    if not Path(folder).is_dir():
        return Check("GOG_REAL_DATA", "warning", f"{folder} is no folder", "unset it, or name a folder")
    return Check("GOG_REAL_DATA", "ok", folder)

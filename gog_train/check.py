"""What a training needs, and whether it is there: `python -m gog_train.check sft --config FILE`.

Takes the stage and its settings, prints a line for each thing that was looked at, with --json all of it. `gog train`
runs it before it starts anything. Nothing is trained, downloaded or written, but for the config of a model that is
named.

torch and transformers are imported inside of the functions.
"""

import argparse
import json
import math
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import requires
from importlib.resources import files
from typing import Any, Final, Literal

from gog.transforms.extras import install
from gog_train.checkpoints import check_notes, git_revision, resumed, version_of, versions
from gog_train.data import Export, ExportError, open_export
from gog_train.grpo import EXAMPLES as GRPO_EXAMPLES
from gog_train.grpo_settings import GrpoSettings
from gog_train.memory import Memory, Shape, as_dict, disk_of, gigabytes, memory_of, shape_of
from gog_train.processors import backbone_of, fit, load_processor
from gog_train.processors import check as check_processor
from gog_train.questions import GOLD
from gog_train.reach import reach
from gog_train.services import RULES
from gog_train.settings import TrainingError, read_settings
from gog_train.sft import EXAMPLES as SFT_EXAMPLES
from gog_train.sft import SftSettings
from gog_train.stages import NO_ADAPTER, check_family, check_packages

State = Literal["ok", "warning", "problem"]
Stage = Literal["sft", "grpo"]
Settings = SftSettings | GrpoSettings

PINS: Final = "constraints-gpu.txt"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: State
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A device. Sizes are bytes."""

    name: str
    memory: int
    free: int


@dataclass(frozen=True, slots=True)
class Report:
    """All that was looked at."""

    stage: Stage
    checks: tuple[Check, ...]
    gpus: tuple[Gpu, ...] = ()
    processes: int = 1
    """Processes to train with: one a GPU, as many as the batch divides into."""
    facts: Mapping[str, Any] | None = None
    """For the run card: settings, export, versions, git, device, memory. None where the settings cannot be read."""

    @property
    def fit(self) -> bool:
        """Whether training can start."""
        return all(check.state != "problem" for check in self.checks)


def examine(stage: Stage, arguments: Sequence[str], processes: int | None = None) -> Report:
    """Look at everything; `arguments` are those of the stage's own command line. `processes` overrides the count."""
    try:
        settings = _settings(stage, arguments)
    except TrainingError as error:
        return Report(stage, (*_versions(False), Check("settings", "problem", str(error))))
    gpus = _gpus()
    count = processes or processes_for(settings, len(gpus))
    checks = [*_versions(isinstance(settings, GrpoSettings) and settings.vllm != "off"), _devices(gpus, count)]
    checks.append(_batches(settings, count))
    shape, memory, export = _shape(settings), None, None
    if isinstance(shape, Shape):
        found, export = _export(stage, settings)
        memory = memory_of(shape, settings, count, min(gpu.memory for gpu in gpus) if gpus else None)
        rules = [_rules(settings, export)] if export and isinstance(settings, GrpoSettings) else []
        processor = [_processor(settings, export), _saved(settings, export)] if export else []
        found_all = [_model(settings, shape), found, *rules, *processor]
        checks += [*found_all, _packages(settings), _memory(memory, gpus), _disk(settings, shape, gpus)]
    else:
        checks.append(shape)
    checks.append(_output(settings))
    facts = {
        "settings": settings.model_dump(mode="json"),
        "export": _export_facts(export) if export else None,
        "versions": versions(),
        "git": _git(),
        "device": [gpu.name for gpu in gpus] or ["CPU"],
        "memory": as_dict(memory) if memory else None,
    }
    return Report(stage, tuple(checks), gpus, count, facts)


def processes_for(settings: Settings, gpus: int) -> int:
    """As many processes as there are GPUs, or the most below that divide a step evenly; one without a GPU."""
    return next(count for count in range(max(1, gpus), 0, -1) if count == 1 or not _uneven(settings, count))


def _uneven(settings: Settings, processes: int) -> bool:
    at_once = settings.device_batch_size * processes
    if isinstance(settings, SftSettings):
        return settings.batch_size % at_once != 0
    rollouts = settings.questions * settings.rollouts
    whole = settings.questions % processes == 0 and rollouts % (at_once * settings.updates) == 0
    return not whole or (settings.vllm == "server" and processes > 1)


def _settings(stage: Stage, arguments: Sequence[str]) -> Settings:
    if stage == "sft":
        return read_settings(SftSettings, arguments, "gog_train.sft", SFT_EXAMPLES)
    return read_settings(GrpoSettings, arguments, "gog_train.grpo", GRPO_EXAMPLES)


def pins() -> dict[str, str]:
    """The versions of `constraints-gpu.txt`, by package."""
    lines = files("gog_train").joinpath(PINS).read_text("utf-8").splitlines()
    requirements = (line.partition("#")[0].strip() for line in lines)
    return {name: pinned for name, _, pinned in (line.partition("==") for line in requirements) if pinned}


def _versions(vllm: bool) -> Iterator[Check]:
    """What is not installed, or of a version that the extra refuses; then what is another than the one pinned."""
    from packaging.requirements import Requirement

    wanted = [Requirement(line) for line in requires("glance-or-gaze") or ()]
    wanted = [r for r in wanted if r.marker is not None and r.marker.evaluate({"extra": "train"})]
    wrong, other = [], []
    for requirement in wanted:
        installed = version_of(requirement.name)
        if installed is None or not requirement.specifier.contains(installed, prereleases=True):
            wrong.append(f"{requirement.name} {installed or 'missing'}, needed is {requirement.specifier}")
    if vllm and version_of("vllm") is None:
        wrong.append("vllm missing, `vllm` is not off")
    for name, pinned in pins().items():
        installed = version_of(name)
        if installed is not None and installed.partition("+")[0] != pinned:
            other.append(f"{name} {installed} ({pinned})")
    shown = ", ".join(f"{name} {installed}" for name in pins() if (installed := version_of(name)))
    how = f"{install('train')} -c gog_train/{PINS} torchvision vllm"
    if wrong:
        yield Check("versions", "problem", "; ".join(wrong), how)
    elif other:
        yield Check("versions", "warning", f"other than those that fit together: {', '.join(other)}", how)
    else:
        yield Check("versions", "ok", shown)


def _gpus() -> tuple[Gpu, ...]:
    import torch

    gpus = []
    for number in range(torch.cuda.device_count()):
        free, _ = torch.cuda.mem_get_info(number)
        properties = torch.cuda.get_device_properties(number)
        gpus.append(Gpu(properties.name, int(properties.total_memory), int(free)))
    return tuple(gpus)


def _devices(gpus: Sequence[Gpu], processes: int) -> Check:
    if not gpus:
        return Check("devices", "warning", "no GPU: on a CPU only tiny models train", "")
    shown = ", ".join(f"{gpu.name} {gigabytes(gpu.memory)}" for gpu in gpus)
    if processes > len(gpus):
        return Check("devices", "problem", f"{processes} processes on {len(gpus)} GPUs", "one process a GPU")
    idle = f"; {len(gpus) - processes} stay idle" if processes < len(gpus) else ""
    return Check("devices", "ok", f"{shown}: {processes} processes{idle}")


def _batches(settings: Settings, processes: int) -> Check:
    if _uneven(settings, processes):
        step = "batch_size" if isinstance(settings, SftSettings) else "questions"
        why = f"a step does not divide into {processes} processes of device_batch_size {settings.device_batch_size}"
        return Check("batches", "problem", why, f"change {step}, device_batch_size or the number of processes")
    if isinstance(settings, SftSettings):
        return Check(
            "batches", "ok", f"{settings.batch_size} rows a step, {settings.device_batch_size} a device at once"
        )
    why = f"{settings.questions} questions a step, {settings.rollouts} rollouts each"
    return Check("batches", "ok", why)


def _shape(settings: Settings) -> Shape | Check:
    try:
        return shape_of(settings)
    except (OSError, ValueError) as error:
        return Check("model", "problem", " ".join(str(error).split())[:300], "name a folder, or a model of the hub")


def _model(settings: Settings, shape: Shape) -> Check:
    how = f"rank {settings.lora_rank}" if settings.tune == "lora" else "all of the language model"
    trained = f"{shape.trained / 1e6:,.1f} million are trained ({how})"
    return Check("model", "ok", f"{settings.model}: {shape.parameters / 1e9:,.2f} billion parameters, {trained}")


def _export(stage: Stage, settings: Settings) -> tuple[Check, Export | None]:
    """The export's files against their hashes."""
    levels = settings.levels if isinstance(settings, GrpoSettings) else (1, 2)
    try:
        kind: Literal["sft", "rl"] = "sft" if stage == "sft" else "rl"
        backbone = backbone_of(settings.model, settings.revision)
        export = open_export(settings.export, kind, backbone.name, levels, rows=False)
        check_family(settings, backbone)
        check_notes(settings.model, export.template(settings.thinking))
    except (ExportError, TrainingError) as error:
        return Check("export", "problem", str(error)), None
    shown = ", ".join(f"{count} {split}" for split, count in _row_counts(export).items())
    return Check("export", "ok", f"{export.folder}: {shown}; all files are as exported"), export


def _processor(settings: Settings, export: Export) -> Check:
    """Whether the model's own processor, given the export's budget, sizes pictures as the export assumed."""
    try:
        processor = load_processor(settings.model, settings.revision)
        fit(processor, export.template(settings.thinking), export.backbone)
        check_processor(processor, export.backbone)
    except TrainingError as error:
        return Check("processor", "problem", str(error))
    least, most = (
        pixels // export.backbone.factor**2 for pixels in (export.backbone.min_pixels, export.backbone.max_pixels)
    )
    return Check("processor", "ok", f"{least} to {most} tokens an image, as the export has it")


def _saved(settings: Settings, export: Export) -> Check:
    """Whether what is kept at the end can be served."""
    if settings.tune == "full":
        return Check("save", "ok", "the whole model")
    if settings.save == "adapter" and (settings.train_vision or export.backbone.experts):
        return Check("save", "warning", NO_ADAPTER, "set `save: both`")
    return Check("save", "ok", settings.save)


def _packages(settings: Settings) -> Check:
    try:
        check_packages(settings)
    except TrainingError as error:
        return Check("packages", "problem", str(error))
    return Check("packages", "ok", f"attention by {settings.attention}, report to {settings.report}")


def _row_counts(export: Export) -> dict[str, int]:
    return {split: listed.get("rows", 0) for split, listed in export.manifest["splits"].items()}


def _export_facts(export: Export) -> dict[str, Any]:
    files = [file for listed in export.manifest["splits"].values() for file in listed["files"]]
    return {
        "folder": str(export.folder),
        "sha256": export.sha256,
        "fingerprint": export.manifest.get("fingerprint"),
        "rows": _row_counts(export),
        "files": {file["name"]: file["sha256"] for file in files},
    }


def _rules(settings: GrpoSettings, export: Export) -> Check:
    """What rules can settle of the questions to train on."""
    import pyarrow.parquet as pq

    tables = [pq.read_table(path, columns=[*GOLD, "level"]) for path in export.files("train")]
    rows = [row for table in tables for row in table.to_pylist() if row["level"] in settings.levels]
    _, line, advice = reach(rows, settings.unsettled, judge=settings.judge != RULES)
    return Check("rules", "warning" if advice else "ok", line, advice)


def _memory(memory: Memory, gpus: Sequence[Gpu]) -> Check:
    known = as_dict(memory).items()
    parts = ", ".join(f"{name} {gigabytes(size)}" for name, size in known if size and name not in ("total", "engine"))
    need = f"about {gigabytes(memory.total)} a device at the longest rows ({parts})"
    if not gpus:
        return Check("memory", "ok", need)
    least = min(gpu.memory for gpu in gpus)
    free = min(gpu.free for gpu in gpus)
    less = "lower max_length or max_tokens, device_batch_size, or for rollouts `questions`; or a larger GPU"
    if memory.weights + memory.adapter > least:
        return Check("memory", "problem", f"{need}; there are {gigabytes(least)}: the weights do not fit", less)
    if memory.engine > memory.generation:
        why = f"vLLM's share is {gigabytes(memory.generation)}, weights and one rollout need {gigabytes(memory.engine)}"
        share = math.ceil(100 * memory.engine / least) / 100
        how = f"set vllm_memory to {share} or more, lower `context`, or set `vllm: server`"
        return Check("memory", "problem", why, how if share < 1 else "a larger GPU, or set `vllm: server`")
    if memory.total > free:
        return Check("memory", "warning", f"{need}; {gigabytes(free)} of {gigabytes(least)} are free", less)
    return Check("memory", "ok", f"{need}; {gigabytes(free)} are free")


def _disk(settings: Settings, shape: Shape, gpus: Sequence[Gpu]) -> Check:
    output = settings.output.resolve()
    place = next(folder for folder in (output, *output.parents) if folder.exists())
    single = settings.precision == "fp32" or not gpus
    needed, free = disk_of(shape, settings, single=single), shutil.disk_usage(place).free
    need = f"about {gigabytes(needed)} for checkpoints and the model, {gigabytes(free)} free at {place}"
    if needed > free:
        return Check("disk", "problem", need, "make room, set `keep: 1`, or name another --output")
    return Check("disk", "ok", need)


def _output(settings: Settings) -> Check:
    try:
        checkpoint = resumed(settings.output, settings.resume)
    except TrainingError as error:
        return Check("output", "problem", str(error))
    return Check(
        "output", "ok", f"{settings.output}: {f'goes on from {checkpoint}' if checkpoint else 'a fresh start'}"
    )


def _git() -> dict[str, Any] | None:
    revision = git_revision()
    return {"revision": revision.removesuffix("-dirty"), "dirty": revision.endswith("-dirty")} if revision else None


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: 0 where training can start, 2 where it cannot."""
    parser = argparse.ArgumentParser(prog="python -m gog_train.check", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    parser.add_argument("--processes", type=int, default=None, help="processes to train with; one a GPU unless given")
    parser.add_argument("stage", choices=["sft", "grpo"])
    parser.add_argument("settings", nargs=argparse.REMAINDER, help="as for the stage itself: --config FILE, ...")
    options = parser.parse_args(sys.argv[1:] if arguments is None else list(arguments))
    report = examine(options.stage, options.settings, options.processes)
    if options.json:
        print(json.dumps(asdict(report) | {"fit": report.fit}))
    else:
        for check in report.checks:
            print(f"{check.state:8} {check.name}: {check.found}" + (f" -> {check.advice}" if check.advice else ""))
    return 0 if report.fit else 2


if __name__ == "__main__":
    sys.exit(main())

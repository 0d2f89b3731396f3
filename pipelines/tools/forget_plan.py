"""What has to leave a lake when seeds, images or rows of a source are forgotten. Reads; writes nothing."""

import json
import re
import shlex
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from gog.pipelines.config.config import Config
from gog.pipelines.config.kept import taken_up
from gog.pipelines.connect.stores import read_store, store_path
from gog.pipelines.lake.forgotten import Receipt, RunPlan
from gog.pipelines.lake.lake import Lake, open_part, part_rows
from gog.pipelines.tools.galleries import corpora_with, galleries_showing
from gog.schemas import canonical_json, content_id
from gog.schemas.errors import UsageError
from gog.transforms.images import sha256_hex
from gog.transforms.ingest.seeds import SOURCE_ID
from gog.transforms.place import files_below, name_below
from gog.transforms.services.search.index_folder import MAX_ADDRESS, clean
from gog.transforms.services.store.records import ALL

_SHA256: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_LEAST_QUESTION: Final = 12
"""Characters: a shorter question is found in too much that is not of it."""
_NO_LONGER: Final = r"(?![\w/%?#=&~+-]|\.\w)"
"""What stands behind an address that is not the beginning of another."""
_EXPORT_STAGES: Final = ("export_sft", "export_rl")


class NothingToForgetError(UsageError):
    """Nothing in the lake has that name."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person wants forgotten: ids of seeds, sha256 of images, ids of the source's rows, addresses of pages."""

    seeds: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()

    def means(self, seed: Mapping[str, Any]) -> bool:
        """Whether a seed's row is meant."""
        source = json.loads(seed["extra"] or "{}").get(SOURCE_ID)
        return (
            seed["seed_id"] in self.seeds
            or not pictures_of_seed(seed).isdisjoint(self.images)
            or source in self.sources
        )

    def found_in(self, evidence: Mapping[str, Any]) -> bool:
        """Whether a row of evidence is of one of the pages, or has it among its hits."""
        if not self.pages:
            return False
        return evidence["query"] in self.pages or any(hit["url"] in self.pages for hit in json.loads(evidence["hits"]))

    def named_in(self, text: str) -> bool:
        """Whether a request, or an answer, names the address of one of the pages."""
        return any(re.search(re.escape(canonical_json(page)[1:-1]) + _NO_LONGER, text) for page in self.pages)


@dataclass(slots=True)
class _Found:
    """Images and questions of what goes, and all images that something else has."""

    gone: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    own: set[str] = field(default_factory=set)
    """Originals that no other seed has, with their crops: every request that holds one is of what goes."""
    questions: set[str] = field(default_factory=set)


def plan(lake: Lake, asked: Asked) -> Receipt:
    """What leaves. Raises `NothingToForgetError` where a name stands nowhere in the lake, `LakeError`, `StoreError`."""
    found = _Found(own=set(asked.images), gone=set(asked.images))
    configs = configs_of(lake)
    goes = _seeds(lake, asked, found)
    _find_crops(configs, found)
    runs = {run: _run_plan(lake, run, goes.get(run, {}), asked, found) for run in lake.runs()}
    keys = _store_keys(configs, asked, found)
    galleries = galleries_showing(lake, found.own)
    pages = sorted(map(sha256_of_address, asked.pages))
    corpora = corpora_with(lake, set(pages))
    _check_named(lake, asked, runs, bool(keys or galleries or corpora))
    images = sorted(sha256 for sha256 in found.gone - found.kept if lake.images.has(sha256))
    seeds = sorted({seed for run in runs.values() for seed in run.seeds})
    tokens = {*seeds, *found.own, *(name for run in runs.values() for name in run.trajectories)}
    for run, leaves in runs.items():
        leaves.exports = _exports(lake.run_folder(run) / "exports", tokens)
        _drop_export_counts(lake, run, leaves)
    made = datetime.now(UTC).replace(microsecond=0)
    sources = sorted(sha256_hex(source.encode()) for source in asked.sources)
    identity = content_id("forget", [seeds, sorted(asked.images), sources, pages])
    counts = {
        "seeds": len(seeds),
        "trajectories": sum(len(run.trajectories) for run in runs.values()),
        "evidence": sum(len(run.evidence) for run in runs.values()),
        "answers of the store": sum(map(len, keys.values())),
        "pictures": len(images),
        "exports": sum(len(run.exports) for run in runs.values()),
    }
    return Receipt(
        id=f"{made:%Y%m%d-%H%M%S}-{identity.split('-')[-1][:12]}",
        made=made.isoformat(),
        seeds=seeds,
        images_named=sorted(asked.images),
        sources_sha256=sources,
        pages_sha256=pages,
        runs={run: leaves for run, leaves in runs.items() if leaves.seeds or leaves.trajectories or leaves.exports},
        store_keys=keys,
        images=images,
        galleries=galleries,
        corpora=corpora,
        counts=counts,
    )


def sha256_of_address(page: str) -> str:
    """What a receipt has of the address of a page."""
    return sha256_hex(clean(page, MAX_ADDRESS).encode())


def configs_of(lake: Lake) -> dict[str, Config]:
    """The config of a run for each store that the lake's runs use."""
    stores: dict[str, tuple[str, Config]] = {}
    for run in lake.runs():
        manifest = lake.read_manifest(run)
        if manifest is not None:
            # The store alone is needed: other keys may be of an older version.
            store: dict[str, Any] = {key: manifest.config[key] for key in ("store", "folder") if key in manifest.config}
            config = taken_up(store, lake.root, run)
            stores.setdefault(store_path(config), (run, config))
    return dict(stores.values())


def _seeds(lake: Lake, asked: Asked, found: _Found) -> dict[str, dict[str, int]]:
    """By run, the seeds that leave with the shard of each."""
    goes: dict[str, dict[str, int]] = {}
    kept_questions: set[str] = set()
    for run in lake.runs():
        for path in lake.parts(run, "seeds"):
            shard = shard_of(path)
            for seed in lake.read_rows(run, "seeds", "ingest", shard):
                if asked.means(seed):
                    goes.setdefault(run, {})[seed["seed_id"]] = shard
                    found.own |= pictures_of_seed(seed)
                    found.questions.add(seed["question"])
                else:
                    found.kept |= pictures_of_seed(seed)
                    kept_questions.add(seed["question"])
    found.own -= found.kept
    found.questions -= kept_questions
    return goes


def _run_plan(lake: Lake, run: str, seeds: dict[str, int], asked: Asked, found: _Found) -> RunPlan:
    named, evidence, evidence_kept = set(asked.images), set[str](), set[str]()
    for row in lake.read_rows(run, "evidence"):
        if named & shas(row) or asked.found_in(row):
            evidence.add(row["evidence_id"])
    trajectories: dict[str, int] = {}
    used: set[str] = set()
    for path in lake.parts(run, "trajectories"):
        for row in lake.read_rows(run, "trajectories", "synthesize", shard_of(path)):
            uses = {name for step in json.loads(row["steps"]) for name in step["evidence_ids"]}
            if row["seed_id"] in seeds or named & shas(row) or evidence & uses:
                trajectories[row["trajectory_id"]] = shard_of(path)
                found.gone |= shas(row)
                used |= uses
                if row["seed_id"] in seeds:
                    shown = json.loads(row["images"])
                    # Of crops those whose own picture goes: another one of the question may be somebody else's, too.
                    found.own |= {part["sha256"] for part in shown if _goes_with(part, shown, found.own)}
            else:
                evidence_kept |= uses
                found.kept |= shas(row)
    evidence_seen = {row["evidence_id"] for row in lake.read_rows(run, "evidence") if row["image_sha256"] in found.own}
    evidence |= (used | evidence_seen) - evidence_kept
    found.gone |= found.own
    for row in lake.read_rows(run, "evidence"):
        (found.gone if row["evidence_id"] in evidence else found.kept).update(shas(row))
    leaves = RunPlan(seeds=seeds, trajectories=sorted(trajectories), evidence=sorted(evidence))
    if seeds or trajectories:
        leaves.funnel = _funnel(lake, run, seeds, trajectories)
    return leaves


def _goes_with(part: Mapping[str, Any], shown: Sequence[Mapping[str, Any]], own: set[str]) -> bool:
    """Whether an image of an episode is of a picture that goes; what was found counts to the first one."""
    return shown[part.get("on_image", 0)]["sha256"] in own


def _funnel(lake: Lake, run: str, seeds: Mapping[str, int], trajectories: Mapping[str, int]) -> dict[str, Any]:
    """The parts of the funnel as they are without what goes: a seed that leaves is a reject of ingest, and never came
    to the stages behind it.
    """
    rejected: Counter[tuple[str, str, str]] = Counter()
    for path in lake.parts(run, "rejects"):
        for row in part_rows(path):
            if row["stage"] != "ingest" and concerns(row, seeds, trajectories):
                rejected[path.name, row["stage"], row["unit"]] += 1
    gone: dict[str, Counter[str]] = {table: Counter() for table in ("curated", "complexity", "verdicts")}
    for table, counts in gone.items():
        for path in lake.parts(run, table):
            for row in part_rows(path):
                if concerns(row, seeds, trajectories) and not json.loads(row.get("reasons") or "[]"):
                    counts[path.name] += 1
    parts: dict[str, Any] = {}
    for path in lake.parts(run, "funnel"):
        seeds_here = sum(shard == shard_of(path) for shard in seeds.values())
        attempts = sum(shard == shard_of(path) for shard in trajectories.values())
        reached = seeds_here
        rows = sorted(part_rows(path), key=lambda row: row["stage"] != "screen")
        for row in rows:
            out = rejected[path.name, row["stage"], row["unit"]]
            match row["stage"]:
                case "ingest":
                    row["passed"] -= seeds_here
                    continue
                case "screen" | "propose":
                    reached = leaving = reached - out
                case "synthesize":
                    leaving = attempts
                case "verify":
                    leaving = gone["verdicts"][path.name]
                case "curate":
                    leaving = gone["curated"][path.name]
                case "label":
                    leaving = gone["complexity"][path.name]
                case _:
                    continue  # an export is made anew as a whole, or has nothing of it
            row["passed"] -= leaving
            row["entered"] -= leaving + out
        parts[path.name] = rows
    return parts


def _drop_export_counts(lake: Lake, run: str, leaves: RunPlan) -> None:
    """Exports of the engine that leave are no part of the funnel until they are made anew."""
    for stage in _EXPORT_STAGES:
        part = f"part-{stage}-00000.parquet"
        if stage.removeprefix("export_") in leaves.exports:
            leaves.funnel[part] = []
        else:
            leaves.funnel.pop(part, None)


def _find_crops(configs: Mapping[str, Config], found: _Found) -> None:
    """Crops that were cut out of the pictures, also by attempts that came to nothing."""
    for config in configs.values():
        store = read_store(config)
        if store is None:
            continue
        with closing(store):
            for dated in store.choose(ALL):
                entry = dated.entry
                if entry.kind == "crop" and found.own & _shas_in(entry.request):
                    found.own |= _shas_in(entry.kept.answer or "")


def _store_keys(configs: Mapping[str, Config], asked: Asked, found: _Found) -> dict[str, list[str]]:
    """By the run that names the store, the keys of answers to requests that hold an image or question of what goes."""
    keys: dict[str, list[str]] = {}
    for run, config in configs.items():
        store = read_store(config)
        if store is None:
            continue
        with closing(store):
            texts = [canonical_json(text)[1:-1] for text in found.questions if len(text) >= _LEAST_QUESTION]
            named = set(asked.images)
            for dated in store.choose(ALL):
                entry = dated.entry
                request, answer = _shas_in(entry.request), _shas_in(entry.kept.answer or "")
                of_pages = asked.named_in(entry.request) or asked.named_in(entry.kept.answer or "")
                if of_pages or found.own & request or named & answer or any(text in entry.request for text in texts):
                    keys.setdefault(run, []).append(entry.key)
                    found.gone |= request | answer
                else:
                    found.kept |= request | answer
    return keys


def _check_named(lake: Lake, asked: Asked, runs: Mapping[str, RunPlan], shown: bool) -> None:
    seeds = {name for run in runs.values() for name in run.seeds}
    for name in asked.seeds:
        if name not in seeds:
            raise NothingToForgetError(f"no seed {name[:100]!r} in {lake.root}: `gog inspect` lists the table seeds")
    some = seeds or shown or any(run.trajectories for run in runs.values())
    if not some and not any(lake.images.has(name) for name in asked.images):
        names = ", ".join(repr(name[:100]) for name in (*asked.images, *asked.sources, *asked.pages))
        raise NothingToForgetError(f"nothing in {lake.root} has {names}: nothing was forgotten")


def _exports(folder: Path, tokens: set[str]) -> dict[str, str]:
    """Folders with a manifest whose files hold one of the tokens, and the arguments that make each anew."""
    manifests = [path for path in files_below(folder) if path.name == "manifest.json"]
    return {name_below(path.parent, folder): _arguments(path) for path in manifests if _holds(path.parent, tokens)}


def _arguments(manifest: Path) -> str:
    try:
        said = json.loads(manifest.read_bytes())
        words, backbone = [str(said["kind"])], said["backbone"]
        if backbone:
            words += ["--format", str(said["format"]), "--backbone", str(backbone["name"])]
            words += [] if backbone["thinking"] else ["--no-thinking"]
    except (ValueError, KeyError, TypeError):
        return manifest.parent.name
    return shlex.join(words)


def _holds(folder: Path, tokens: set[str]) -> bool:
    for path in files_below(folder):
        if path.stem in tokens:
            return True
        if path.suffix == ".parquet":
            if any(_words(text) & tokens for text in _texts(path)):
                return True
        elif path.suffix in (".json", ".jsonl", ".md") and _words(path.read_text("utf-8", "replace")) & tokens:
            return True
    return False


def _words(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z0-9-]+", text))


def _texts(path: Path) -> Iterator[str]:
    """Every text of a Parquet file but pictures' bytes."""
    with open_part(path) as file:
        if file is None:
            return
        leaves = [file.schema.column(number) for number in range(len(file.schema))]
        columns = [leaf.path for leaf in leaves if leaf.logical_type.type == "STRING"]
        for batch in file.iter_batches(batch_size=100, columns=columns):
            yield json.dumps(batch.to_pylist(), ensure_ascii=False, default=str)


def shard_of(part: Path) -> int:
    """Number of the shard in a part's file name."""
    return int(part.stem.rsplit("-", 1)[1])


def concerns(row: Mapping[str, Any], seeds: Collection[str], trajectories: Collection[str]) -> bool:
    """Whether a row of any table is of one of the seeds or trajectories."""
    names = {row.get(key) for key in ("id", "seed_id", "trajectory_id")}
    return any(name in seeds or name in trajectories for name in names if isinstance(name, str))


def pictures_of_seed(seed: Mapping[str, Any]) -> set[str]:
    """The pictures of a seed's question; what it is like is not among them."""
    further = json.loads(seed.get("further_images") or "[]")
    return {seed["image_sha256"], *(image["sha256"] for image in further)}


def shas(row: Mapping[str, Any]) -> set[str]:
    """Every sha256 that stands in a row."""
    return {found for value in row.values() if isinstance(value, str) for found in _shas_in(value)}


def _shas_in(text: str) -> set[str]:
    return set(_SHA256.findall(text))
